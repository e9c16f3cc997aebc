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
from openflan.inference.limits import (
    DecodingMethod,
    batch_tokens_of,
    context_of,
    decoding_method,
    end_of_sequence,
    evaluating,
    within_window,
)
from openflan.inference.protocol import Completion, LikelihoodRequest, OptionScores, Request
from openflan.models.folder import Separator, added_tokens_of, layout_of, model_folder, separator_of
from openflan.packing.message_form import TEXTS, MessageForm, asked, form_of, sent
from openflan.packing.text_ids import AddedTokens, TextIds

if TYPE_CHECKING:
    from openflan.inference.decoding_methods import LocalDecoding, Question

DTYPES = ("float32", "bfloat16")
FLOAT32_PARAMETERS = 1_500_000_000
"""The most parameters of a model that computes in float32 unless a dtype is named; models called "1B" have
up to 1.5 billion."""

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
        chat: bool = False,
        dtype: str | None = None,
    ) -> HuggingFaceEngine:
        """Loads a model folder or hub id, onto the GPU if there is one.

        `batch_tokens` bounds the tokens of prompts and generations that are in memory at once; by default it
        follows from the memory they take. `separator` defaults to the folder's `openflan_layout`. `encode`
        turns a prompt into ids and defaults to the tokenizer; the end of sequence that T5 and the paper's
        causal layout need is added afterwards. `dtype` is one of DTYPES; see FLOAT32_PARAMETERS.

        Raises InputError if the folder is no complete checkpoint, its weights do not belong to its
        configuration, it has no end of sequence or (with `chat`) no chat template, or `context` exceeds the
        learned positions of a model. Warns where a model without learned positions gets a longer context than
        it was trained with.
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
        from openflan.models.load_model import load_pretrained, tokenizer_of

        chosen = separator_of(folder) if separator is None else separator
        # A model that was finetuned with its chat template gets its prompts in it.
        chat = chat or layout_of(folder) == "chat"
        model = load_pretrained(str(folder))
        small = sum(parameter.numel() for parameter in model.parameters()) <= FLOAT32_PARAMETERS
        precision = dtype or ("float32" if small else "bfloat16")
        model = model.to(
            device="cuda" if torch.cuda.is_available() else "cpu", dtype=getattr(torch, precision)
        )
        made = cls.of(
            model,
            tokenizer_of(str(folder)),
            fingerprint="",
            context=context,
            separator=chosen,
            batch_tokens=batch_tokens,
            encode=encode,
            chat=chat,
            added_tokens=added_tokens_of(folder),
            name=str(folder),
        )
        settings = [_ENGINE, f"dtype {precision}", f"context {made.context}", f"separator {chosen}"]
        flags = {"own encoding": encode is not None, "chat": chat, "prefix attention": made.prefix}
        flags["added tokens as text"] = made.text.added_tokens == "text"
        return replace(
            made,
            fingerprint=folder_fingerprint(
                folder, *settings, *(name for name, is_set in flags.items() if is_set)
            ),
        )

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
        afterwards it has its former mode and attention function. `added_tokens`: see `TextIds`.
        `fingerprint` names the weights (without one they are hashed now); make another engine when they have
        changed. Raises InputError as `load` does."""
        if batch_tokens is not None and batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}, expected at least 1")
        from openflan.models.prefix import attention_of_model

        if chat and not getattr(tokenizer, "chat_template", None):
            raise InputError(
                f"{name}: its tokenizer has no chat template: leave `--chat` out, or use a model that "
                "was trained on messages"
            )
        eos = end_of_sequence(model, tokenizer, name)
        used = context_of(model.config, context, name)
        pad = tokenizer.pad_token_id
        prefix = not model.config.is_encoder_decoder and attention_of_model(model) == "prefix"
        with evaluating(model):
            method = decoding_method(model, prefix=prefix)
        if prefix and method == "transformers":
            used = within_window(model.config, used, name)
        if fingerprint is None:
            from openflan.inference.fingerprint import model_fingerprint

            flags = {"chat": chat, "prefix attention": prefix}
            fingerprint = model_fingerprint(
                model,
                _ENGINE,
                f"context {used}",
                f"separator {separator}",
                *(name for name, is_set in flags.items() if is_set),
            )
        text = TextIds(tokenizer, added_tokens)
        return cls(
            model=model,
            tokenizer=tokenizer,
            text=text,
            encode=encode or text.marked,
            fingerprint=fingerprint,
            context=used,
            separator=separator,
            eos=frozenset(eos),
            pad=eos[0] if pad is None else pad,
            batch_tokens=batch_tokens or batch_tokens_of(model),
            method=method,
            chat=chat,
            prefix=prefix,
            form=form_of(tokenizer.chat_template, text.written, name) if chat else TEXTS,
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

    def ids(self, prompt: str, conversation: str | None = None) -> list[int]:
        """The ids of a prompt, in a chat template those of its `conversation`. Inputs of T5, and causal ones
        of the paper's layout, end with exactly one end of sequence."""
        if self.chat and conversation is not None:
            turns, tools = asked(conversation, self.form)
            return self.text.chat(turns, add_generation_prompt=True, **tools)
        if self.chat:
            turn = sent([{"role": "user", "content": prompt}], self.form)
            return self.text.chat(turn, add_generation_prompt=True)
        ids = self.encode(prompt)
        if (self.seq2seq or self.separator == "eos") and (not ids or ids[-1] not in self.eos):
            ids = [
                *ids,
                self.tokenizer.eos_token_id if self.tokenizer.eos_token_id is not None else min(self.eos),
            ]
        if not ids:
            raise InputError(
                "a prompt is empty, and this model's tokenizer adds no token to it; write at least one "
                "character"
            )
        return ids

    def option_ids(self, prompt: str, option: str) -> list[int]:
        """The ids of an option after a prompt. Where the prompt ends in a token of its own, white space
        before the option is dropped; elsewhere prompt and option are tokenised together, and what goes beyond
        the prompt's number of tokens is the option (as lm-eval does).

        Raises InputError for an option without a token.
        """
        if self.seq2seq or self.separator == "eos" or self.chat:
            ids = self.text.batch([option.lstrip()])[0]
        else:
            ids = self.encode(prompt + option)[len(self.ids(prompt)) :]
        if not ids:
            raise InputError(
                f"the option {option!r} has no token of its own after the prompt: give each option at "
                "least one character"
            )
        return ids

    def fits(self, prompt: str, max_tokens: int) -> bool:
        """Whether the prompt, with `max_tokens` to follow where they share the context, is short enough to be
        answered."""
        return len(self.ids(prompt)) <= self._max_prompt_tokens(max_tokens)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions in the order in which they end. Prompts that do not fit come first, as `too-long`
        without text. Equal requests are computed once.

        Raises InputError for a request with impossible numbers.
        """
        from openflan.inference.batching import prompts_of
        from openflan.inference.ending import Ending

        fitting: list[tuple[int, tuple[int, ...], Request]] = []
        known: dict[tuple[str, str | None], tuple[int, ...]] = {}
        for index, request in enumerate(requests):
            _check(request)
            max_prompt_tokens = self._max_prompt_tokens(request.max_tokens)
            if (sent_text := (request.prompt, request.conversation)) not in known:
                known[sent_text] = tuple(self.ids(*sent_text))
            if len(known[sent_text]) > max_prompt_tokens:
                yield from (
                    (index, Completion("", 0, "too-long", sample)) for sample in range(request.samples)
                )
            else:
                fitting.append((index, known[sent_text], request))
        with evaluating(self.model):
            ending = Ending(self.tokenizer, self.eos)
            for generation, completion in self._decoding().generate(prompts_of(fitting), ending):
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
        from openflan.inference.batching import Prompt
        from openflan.inference.decoding_methods import Question

        questions: list[Question] = []
        known: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for index, request in enumerate(requests):
            if not request.options:
                raise InputError("a question without options cannot be scored by likelihood")
            same = known.setdefault((request.prompt, request.options), [])
            same.append(index)
        for (prompt, texts), indices in known.items():
            ids = tuple(self.ids(prompt))
            options = [self.option_ids(prompt, option) for option in texts]
            if len(ids) + (0 if self.seq2seq else max(map(len, options)) - 1) > self.context:
                yield from ((index, OptionScores((), ())) for index in indices)
            else:
                questions.append(Question(Prompt(ids, []), indices, options))
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


def _check(request: Request) -> None:
    if request.samples < 1:
        raise InputError(f"samples is {request.samples}, expected at least 1")
    if request.temperature < 0 or request.top_k < 0:
        raise InputError(
            f"temperature is {request.temperature} and top_k {request.top_k}, expected neither below 0"
        )
