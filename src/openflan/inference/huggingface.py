"""Generation and likelihoods with models that transformers loads: our own decoding where it is exact,
transformers' `generate` elsewhere.

Decisions: float32 up to about a billion parameters, so that a completion depends on what else is in the batch
only where two tokens are as good as equally likely, and bfloat16 above, which the fingerprint says; a prompt
that does not fit is answered with `too-long` instead of being truncated, because truncation loses the
instruction or the exemplars and the score would look valid; the folder's own sampling settings are not used,
because a repetition penalty hidden in generation_config.json is not greedy decoding. A causal model whose
prompts' tokens see one another (its folder says so) generates in that way; its few-shot prompts then share
nothing, because the states of an exemplar depend on the question after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import InputError, did_you_mean
from openflan.hashes import SHORT, sha256_of
from openflan.inference.chat import check_template, turn_ends
from openflan.inference.limits import (
    DTYPES,
    DecodingMethod,
    batch_tokens_of,
    context_of,
    decoding_method,
    default_dtype,
    end_of_sequence,
    evaluating,
    within_context,
    within_window,
)
from openflan.inference.prompt_ids import option_ids, prompt_ids
from openflan.inference.protocol import (
    Completion,
    LikelihoodRequest,
    OptionScores,
    Request,
    ShowText,
    Turn,
)
from openflan.models.folder import Separator, added_tokens_of, layout_of, model_folder, separator_of
from openflan.packing.message_form import TEXTS, MessageForm, form_of
from openflan.packing.text_ids import AddedTokens, TextIds

if TYPE_CHECKING:
    from openflan.inference.batching import Watch
    from openflan.inference.decoding_methods import LocalDecoding

_ENGINE = "openflan decoding 2"
_CHUNK = {"cpu": 128, "cuda": 256}
"""Generations that are requested at once. With more, batches would be fuller towards the end, but fewer
processes would have work."""


@dataclass(frozen=True, slots=True)
class HuggingFaceEngine:
    """A loaded seq2seq or causal model.

    `context` is the most tokens of a prompt (seq2seq) or of prompt and generation together (causal).
    `separator` is what follows a causal prompt. `text` turns what users write into ids, in which control
    tokens that are spelled there stay text; `encode` does so for a whole prompt. With `chat` a prompt is a
    user's message in the tokenizer's chat template. `prefix`: the tokens of a causal prompt see one another
    (prefix-LM). `form` is that in which the chat template shows messages.
    """

    model: Any
    tokenizer: Any
    text: TextIds
    encode: Callable[[str], list[int]]
    fingerprint: str
    context: int
    separator: Separator
    eos: frozenset[int]
    pad: int
    batch_tokens: int
    method: DecodingMethod = "transformers"
    chat: bool = False
    prefix: bool = False
    form: MessageForm = TEXTS

    @classmethod
    def load(
        cls,
        folder_or_hub_id: str | Path,
        *,
        context: int | None = None,
        batch_tokens: int | None = None,
        separator: Separator | None = None,
        encode: Callable[[str], list[int]] | None = None,
        chat: bool | None = None,
        dtype: str | None = None,
        device: str | None = None,
    ) -> HuggingFaceEngine:
        """Loads a model folder or hub id onto a device (see `models.device`), by default a GPU if there is
        one.

        `batch_tokens` bounds the tokens of prompts and generations that are in memory at once; by default it
        follows from the memory they take. `separator` defaults to the folder's `openflan_layout`. `encode`
        turns a prompt into ids and defaults to the tokenizer; the end of sequence that T5 and the paper's
        causal layout need is added afterwards. `dtype` is one of DTYPES; see
        `limits.default_dtype`. `chat` None
        means the chat template for a model that was finetuned in it, and plain prompts for all others.

        Raises InputError if the folder is no complete checkpoint, its weights do not belong to its
        configuration, it has no end of sequence or (with `chat`) no chat template that works, there is no
        such device, or `context` exceeds the learned positions of a model. Warns where a model without
        learned positions gets a longer context than it was trained with.
        """
        if dtype is not None and dtype not in DTYPES:
            raise InputError(
                f"dtype is {dtype!r}{did_you_mean(dtype, DTYPES) or ', expected ' + ' or '.join(DTYPES)}"
            )
        # Before the libraries are imported, which takes seconds, so that a wrong path or no network fails at
        # once.
        folder = model_folder(folder_or_hub_id)
        import torch

        from openflan.inference.fingerprint import folder_fingerprint
        from openflan.models.device import choose_device
        from openflan.models.load_model import load_pretrained, tokenizer_of

        chosen = separator_of(folder) if separator is None else separator
        # A model that was finetuned with its chat template gets its prompts in it.
        chat = layout_of(folder) == "chat" if chat is None else chat
        # What can be wrong without the weights is found before they are loaded.
        put_on, tokenizer = choose_device(device), tokenizer_of(str(folder))
        if chat:
            check_template(tokenizer, str(folder))
        model = load_pretrained(str(folder))
        precision = dtype or default_dtype(model)
        model = model.to(device=put_on, dtype=getattr(torch, precision))
        made = cls.of(
            model,
            tokenizer,
            fingerprint="",
            context=context,
            separator=chosen,
            batch_tokens=batch_tokens,
            encode=encode,
            chat=chat,
            added_tokens=added_tokens_of(folder),
            name=str(folder),
        )
        settings = made._settings([f"dtype {precision}"], own_encoding=encode is not None)
        return replace(made, fingerprint=folder_fingerprint(folder, *settings))

    @classmethod
    def of(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        fingerprint: str | None = None,
        context: int | None = None,
        separator: Separator = "none",
        batch_tokens: int | None = None,
        encode: Callable[[str], list[int]] | None = None,
        chat: bool = False,
        added_tokens: AddedTokens = "ids",
        name: str = "the model",
    ) -> HuggingFaceEngine:
        """An engine over a model in memory, on its device and in its dtype: for evaluation during training.

        While it answers, the model is in evaluation mode and a causal one has our attention function;
        afterwards it has its former mode and attention function. `added_tokens`: see `TextIds`. `fingerprint`
        names the weights (without one they are hashed now); make another engine when they have changed.
        Raises InputError as `load` does.
        """
        if batch_tokens is not None and batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}, expected at least 1")
        from openflan.models.prefix import attention_of_model

        eos, text = end_of_sequence(model, tokenizer, name), TextIds(tokenizer, added_tokens)
        if chat:
            check_template(tokenizer, name, text=text)
        used = context_of(model.config, context, name)
        pad = tokenizer.pad_token_id
        prefix = not model.config.is_encoder_decoder and attention_of_model(model) == "prefix"
        with evaluating(model):
            method = decoding_method(model, prefix=prefix)
        if prefix and method == "transformers":
            used = within_window(model.config, used, name)
        form = form_of(tokenizer.chat_template, text.written, name) if chat else TEXTS
        made = cls(
            model=model,
            tokenizer=tokenizer,
            text=text,
            encode=encode or text.marked,
            fingerprint=fingerprint or "",
            context=used,
            separator=separator,
            eos=eos | turn_ends(text, form) if chat else eos,
            pad=min(eos) if pad is None else pad,
            batch_tokens=batch_tokens or batch_tokens_of(model),
            method=method,
            chat=chat,
            prefix=prefix,
            form=form,
        )
        if fingerprint is not None:
            return made
        from openflan.inference.fingerprint import model_fingerprint

        return replace(made, fingerprint=model_fingerprint(model, *made._settings([])))

    def _settings(self, first: list[str], *, own_encoding: bool = False) -> list[str]:
        """All but the weights and `first` that changes what is generated, for a fingerprint."""
        flags = {"own encoding": own_encoding, "chat": self.chat, "prefix attention": self.prefix}
        flags["added tokens as text"] = self.text.added_tokens == "text"
        more_ends = self.eos - end_of_sequence(self.model, self.tokenizer, "the model")
        return [
            _ENGINE,
            *first,
            f"context {self.context}",
            f"separator {self.separator}",
            *(name for name, is_set in flags.items() if is_set),
            *(f"ends at {token}" for token in sorted(more_ends)),
        ]

    def in_chat(self) -> HuggingFaceEngine:
        """The same model, with each prompt put into the tokenizer's chat template. Raises InputError for a
        tokenizer without a template that works."""
        if self.chat:
            return self
        name = getattr(self.tokenizer, "name_or_path", "") or "the model"
        check_template(self.tokenizer, name, text=self.text)
        form = form_of(self.tokenizer.chat_template, self.text.written, name)
        return replace(
            self,
            chat=True,
            form=form,
            eos=self.eos | turn_ends(self.text, form),
            fingerprint=sha256_of(f"{self.fingerprint} chat")[:SHORT],
        )

    @property
    def seq2seq(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    @property
    def dtype(self) -> str:
        """The number format of the weights, such as `float32`."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """The type of device that holds the weights, such as `cpu` or `cuda`."""
        return str(self.model.device.type)

    @property
    def together(self) -> int:
        """How many generations to request at once: enough for full batches, and always the same number, so
        that batches repeat."""
        return _CHUNK.get(self.model.device.type, 128)

    def ids(self, prompt: str, before: Sequence[Turn] = (), conversation: str | None = None) -> list[int]:
        """The ids of a prompt, with `chat` after the turns `before` it, or those of its `conversation`.
        Inputs of T5, and causal ones of the paper's layout, end with exactly one end of sequence."""
        return prompt_ids(self, prompt, before, conversation)

    def option_ids(self, prompt: str, option: str) -> list[int]:
        """The ids of an option after a prompt; see `prompt_ids.option_ids`."""
        return option_ids(self, prompt, option)

    def fits(self, prompt: str, max_tokens: int) -> bool:
        """Whether the prompt, with `max_tokens` to follow where they share the context, is short enough to be
        answered."""
        return len(self.ids(prompt)) <= self._max_prompt_tokens(max_tokens)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions in the order in which they end. Prompts that do not fit come first, as `too-long`
        without text. Equal requests are computed once.

        Raises InputError for a request with impossible numbers, and for turns before a prompt without `chat`.
        """
        return self._generate(requests, None)

    def stream(self, request: Request, show: ShowText) -> Completion:
        """The completion of one request with one sample; `show` is called with pieces that make up its text,
        as it is generated. Raises InputError as `generate` does."""
        from openflan.inference.ending import Ending
        from openflan.inference.streaming import TextStream

        stream = TextStream(Ending(self.tokenizer, self.eos), show)
        ((_, completion),) = self._generate([replace(request, samples=1)], stream.watch)
        stream.finish(completion)
        return completion

    def _generate(self, requests: Sequence[Request], watch: Watch | None) -> Iterator[tuple[int, Completion]]:
        from openflan.inference.batching import prompts_of
        from openflan.inference.ending import Ending

        fitting: list[tuple[int, tuple[int, ...], Request]] = []
        known: dict[tuple[str, tuple[Turn, ...], str | None], tuple[int, ...]] = {}
        for index, request in enumerate(requests):
            request.check(chat=self.chat)
            key = request.prompt, request.before, request.conversation
            if key not in known:
                known[key] = tuple(self.ids(*key))
            if len(known[key]) > self._max_prompt_tokens(request.max_tokens):
                yield from (
                    (index, Completion("", 0, "too-long", sample)) for sample in range(request.samples)
                )
            else:
                context = None if self.seq2seq else self.context
                fitting.append((index, known[key], within_context(request, len(known[key]), context)))
        with evaluating(self.model):
            ending = Ending(self.tokenizer, self.eos)
            prompts = prompts_of(fitting)
            for prompt in prompts:
                opened = not self.seq2seq and ending.opens(prompt.ids)
                for generation in prompt.generations:
                    generation.opened = opened and generation.request.thinking_tokens > 0
            for generation, completion in self._decoding().generate(prompts, ending, watch):
                for index in generation.owners:
                    original = requests[index]
                    # All greedy samples are equal.
                    samples = range(original.samples) if original.temperature == 0 else [generation.sample]
                    yield from ((index, replace(completion, sample=sample)) for sample in samples)

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        """The options' log-probabilities, prompt by prompt. Prompts that do not fit come first, without
        scores.

        Raises InputError for a request without options, or an option without a token.
        """
        from openflan.inference.decoding_methods import questions_of

        def fits(ids: Sequence[int], options: Sequence[Sequence[int]]) -> bool:
            return len(ids) + (0 if self.seq2seq else max(map(len, options)) - 1) <= self.context

        questions, too_long = questions_of(requests, self.ids, self.option_ids, fits)
        yield from ((index, OptionScores((), ())) for index in too_long)
        with evaluating(self.model):
            yield from self._decoding().score(questions)

    def _decoding(self) -> LocalDecoding:
        from openflan.inference.decoding_methods import METHODS

        return METHODS[self.method](self.model, self.pad, self.batch_tokens, self.prefix)

    def _max_prompt_tokens(self, max_tokens: int) -> int:
        """The most tokens of a prompt when `max_tokens` are to follow; 0 or less if these alone fill the
        context."""
        if max_tokens < 1:
            raise InputError(f"max_tokens is {max_tokens}, expected at least 1")
        return self.context if self.seq2seq else self.context - max_tokens
