"""The three ways in which local weights generate and score: our decoder of T5, our decoder of causal models,
and transformers' own `generate`.

Each is a small object with `generate(prompts, ending)` and `score(questions)`; `decoding_method` (in
`limits`) finds out which of them is exact for a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from openflan.errors import InputError
from openflan.inference.batching import Budget, Generation, Prompt, Watch, decode
from openflan.inference.causal_attention import decoding_attention
from openflan.inference.causal_decoding import CausalDecoder
from openflan.inference.ending import Ending
from openflan.inference.limits import DecodingMethod
from openflan.inference.plain import generate_plain, score_plain
from openflan.inference.prefixes import share_prefixes
from openflan.inference.protocol import Completion, LikelihoodRequest, OptionScores
from openflan.inference.t5_decoding import T5Decoder

_MAX_GENERATIONS = {"cpu": 64, "cuda": 512}
_PROMPTS_AT_ONCE = {"cpu": 1, "cuda": 32}
"""Prompts that one forward reads: on a CPU a single prompt is a matrix large enough."""

_SCORED_TOKENS = {"cpu": 4_096, "cuda": 65_536}
_LOGITS_BYTES = 512 << 20


class Question(NamedTuple):
    """A prompt whose options are scored, for all requests that are the same (indices of requests)."""

    prompt: Prompt
    requests: list[int]
    options: list[list[int]]


def questions_of(
    requests: Sequence[LikelihoodRequest],
    ids_of: Callable[[str], list[int]],
    option_ids_of: Callable[[str, str], list[int]],
    fits: Callable[[Sequence[int], Sequence[Sequence[int]]], bool],
) -> tuple[list[Question], list[int]]:
    """The questions of requests, equal ones once, and the indices of requests that do not fit (`fits`, by the
    ids of prompt and options). Raises InputError for a request without options."""
    indices_by_text: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, request in enumerate(requests):
        if not request.options:
            raise InputError("a question without options cannot be scored by likelihood")
        indices_by_text.setdefault((request.prompt, request.options), []).append(index)
    questions: list[Question] = []
    too_long: list[int] = []
    for (prompt, texts), indices in indices_by_text.items():
        ids = tuple(ids_of(prompt))
        options = [option_ids_of(prompt, option) for option in texts]
        if fits(ids, options):
            questions.append(Question(Prompt(ids, []), indices, options))
        else:
            too_long += indices
    return questions, too_long


@dataclass(frozen=True, slots=True)
class LocalDecoding(ABC):
    """A model on this machine. `pad` fills batches of unequal length, `batch_tokens` bounds the tokens in
    memory at once, and with `prefix` the tokens of a causal prompt see one another."""

    model: Any
    pad: int
    batch_tokens: int
    prefix: bool

    @abstractmethod
    def generate(
        self, prompts: list[Prompt], ending: Ending, watch: Watch | None = None
    ) -> Iterator[tuple[Generation, Completion]]:
        """Each generation with its completion, in the order in which they end; `watch` sees their tokens."""

    @abstractmethod
    def score(self, questions: list[Question]) -> Iterator[tuple[int, OptionScores]]:
        """The scores of each question's options, with the index of each request."""

    @property
    def budget(self) -> Budget:
        device = self.model.device.type
        return Budget(self.batch_tokens, _MAX_GENERATIONS.get(device, 64), _PROMPTS_AT_ONCE.get(device, 1))

    def batches(self, questions: Iterable[Question]) -> Iterator[list[Question]]:
        """Neighbouring questions that are scored in one forward."""
        max_tokens = min(_SCORED_TOKENS.get(self.model.device.type, 4_096), self.batch_tokens)
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        return _batches(questions, max_tokens, max(1, _LOGITS_BYTES // (4 * vocabulary)))


class T5Decoding(LocalDecoding):
    """Our decoder of the T5 family."""

    def generate(
        self, prompts: list[Prompt], ending: Ending, watch: Watch | None = None
    ) -> Iterator[tuple[Generation, Completion]]:
        return decode(T5Decoder(self.model), prompts, ending, self.budget, watch)

    def score(self, questions: list[Question]) -> Iterator[tuple[int, OptionScores]]:
        decoder = T5Decoder(self.model)
        for batch in self.batches(sorted(questions, key=lambda question: -len(question.prompt.ids))):
            scores = decoder.option_scores([(question.prompt.ids, question.options) for question in batch])
            yield from _by_request(batch, scores)


class CausalDecoding(LocalDecoding):
    """Our decoder of causal models."""

    def generate(
        self, prompts: list[Prompt], ending: Ending, watch: Watch | None = None
    ) -> Iterator[tuple[Generation, Completion]]:
        with decoding_attention(self.model):
            decoder = CausalDecoder(self.model, prefix=self.prefix)
            yield from decode(decoder, self._ordered(prompts), ending, self.budget, watch)

    def score(self, questions: list[Question]) -> Iterator[tuple[int, OptionScores]]:
        with decoding_attention(self.model):
            decoder = CausalDecoder(self.model, prefix=self.prefix)
            prompts = self._ordered([question.prompt for question in questions])
            rank = {prompt: index for index, prompt in enumerate(prompts)}
            for batch in self.batches(sorted(questions, key=lambda question: rank[question.prompt])):
                scores = decoder.option_scores([(question.prompt, question.options) for question in batch])
                yield from _by_request(batch, scores)

    def _ordered(self, prompts: list[Prompt]) -> list[Prompt]:
        """Prompts with the same beginning as neighbours, except in a prefix-LM, whose prompts share
        nothing."""
        return prompts if self.prefix else share_prefixes(prompts)


class TransformersDecoding(LocalDecoding):
    """transformers' own `generate` and forward, for every other architecture."""

    def generate(
        self, prompts: list[Prompt], ending: Ending, watch: Watch | None = None
    ) -> Iterator[tuple[Generation, Completion]]:
        return generate_plain(
            self.model, prompts, ending, self.pad, self.batch_tokens, prefix=self.prefix, watch=watch
        )

    def score(self, questions: list[Question]) -> Iterator[tuple[int, OptionScores]]:
        for question in questions:
            scores = score_plain(self.model, question.prompt.ids, question.options, prefix=self.prefix)
            yield from _by_request([question], [scores])


METHODS: dict[DecodingMethod, type[LocalDecoding]] = {
    "t5": T5Decoding,
    "causal": CausalDecoding,
    "transformers": TransformersDecoding,
}


def _by_request(
    questions: Sequence[Question], scores: Sequence[list[float]]
) -> Iterator[tuple[int, OptionScores]]:
    for question, option_scores in zip(questions, scores, strict=True):
        for index in question.requests:
            yield index, OptionScores(tuple(option_scores), tuple(map(len, question.options)))


def _batches(questions: Iterable[Question], max_tokens: int, max_options: int) -> Iterator[list[Question]]:
    """Neighbours while their unshared tokens, and the tokens of their options, stay within bounds; at
    least one question a batch."""
    batch: list[Question] = []
    tokens = option_tokens = 0
    for question in questions:
        more_options = sum(map(len, question.options))
        more = len(question.prompt.ids) - question.prompt.shared + more_options
        if batch and (tokens + more > max_tokens or option_tokens + more_options > max_options):
            yield batch
            batch, tokens, option_tokens = [], 0, 0
        batch.append(question)
        tokens, option_tokens = tokens + more, option_tokens + more_options
    if batch:
        yield batch
