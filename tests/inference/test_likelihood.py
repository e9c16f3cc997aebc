"""Log-probabilities of options against plain forwards of transformers."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import PAD, causal, llama, t5

from openflan.errors import InputError
from openflan.inference import HuggingFaceEngine, LikelihoodEngine, LikelihoodRequest, OptionScores
from openflan.inference.batching import Prompt
from openflan.inference.causal_attention import decoding_attention
from openflan.inference.causal_decoding import CausalDecoder
from openflan.inference.t5_decoding import T5Decoder

MAKERS: dict[str, Callable[[Path], Path]] = {
    "t5": t5,
    "t5-untied": lambda folder: t5(folder, untied=True),
    "llama": llama,
    "cohere2": lambda folder: causal(folder, "cohere2", sliding_window=16),
    "bloom": lambda folder: causal(folder, "bloom"),
}
HEADER = "Which one is right of these four ? "
REQUESTS = [
    *(
        LikelihoodRequest(
            f"{HEADER * (place % 3)}what is {place} ?",
            (" yes", " no, it is not", " (C)", " d")[: 1 + place % 4],
        )
        for place in range(9)
    ),
    LikelihoodRequest(f"{HEADER}what is 1 ?", (" yes", " no, it is not")),
]
every = pytest.mark.parametrize("family", MAKERS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HuggingFaceEngine]:
    return {
        name: HuggingFaceEngine.load(make(tmp_path_factory.mktemp(name))) for name, make in MAKERS.items()
    }


def scores(engine: HuggingFaceEngine, requests: list[LikelihoodRequest]) -> list[OptionScores]:
    likelihoods = dict(engine.loglikelihood(requests))
    assert sorted(likelihoods) == list(range(len(requests)))
    return [likelihoods[index] for index in range(len(requests))]


@torch.inference_mode()
def plain(engine: HuggingFaceEngine, prompt: list[int], option: list[int]) -> float:
    """By one forward of transformers over the prompt and the option alone."""
    if engine.seq2seq:
        arguments = {
            "input_ids": torch.tensor([prompt]),
            "decoder_input_ids": torch.tensor([[PAD, *option[:-1]]]),
        }
    else:
        arguments = {"input_ids": torch.tensor([prompt + option[:-1]])}
    rows = engine.model(**arguments).logits[0, -len(option) :].log_softmax(-1)
    return sum(float(row[token]) for row, token in zip(rows, option, strict=True))


@every
def test_scores_are_those_of_plain_forwards(family: str, engines: dict[str, HuggingFaceEngine]) -> None:
    engine = engines[family]
    assert isinstance(engine, LikelihoodEngine)
    values = []
    for request, likelihoods in zip(REQUESTS, scores(engine, REQUESTS), strict=True):
        for option, value, count in zip(
            request.options, likelihoods.log_probabilities, likelihoods.tokens, strict=True
        ):
            letters = engine.tokenizer(
                option.lstrip() if engine.seq2seq else option, add_special_tokens=False
            )["input_ids"]
            assert count == len(letters)
            assert value == pytest.approx(plain(engine, engine.ids(request.prompt), letters), abs=1e-4)
            values.append(value)
    assert len({round(value, 3) for value in values}) > 15  # a constant would prove nothing


@every
def test_scores_do_not_depend_on_the_batch(family: str, engines: dict[str, HuggingFaceEngine]) -> None:
    together = scores(engines[family], REQUESTS)
    for batch_tokens in (1, 120):
        for first, other in zip(
            scores(replace(engines[family], batch_tokens=batch_tokens), REQUESTS[::-1])[::-1],
            together,
            strict=True,
        ):
            assert first.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5, rel=1e-6)
    assert together[9] == replace(together[1], log_probabilities=together[9].log_probabilities)


def test_what_follows_an_end_of_sequence_has_no_space_before_it(
    engines: dict[str, HuggingFaceEngine],
) -> None:
    paper = replace(engines["llama"], separator="eos")
    (likelihoods,) = scores(paper, [LikelihoodRequest("what ?", (" yes",))])
    letters = paper.tokenizer("yes", add_special_tokens=False)["input_ids"]
    assert likelihoods.log_probabilities[0] == pytest.approx(
        plain(paper, paper.ids("what ?"), letters), abs=1e-4
    )
    assert paper.ids("what ?")[-1] in paper.eos


def test_questions_that_do_not_fit_are_not_scored(engines: dict[str, HuggingFaceEngine]) -> None:
    # 96 positions: the beginning of sequence, 92 letters, and all but the last of an option's tokens.
    fits, long = LikelihoodRequest("x" * 92, (" no",)), LikelihoodRequest("x" * 92, (" no", " yes!"))
    first, second = scores(engines["llama"], [fits, long])
    assert (first.too_long, second.too_long) == (False, True)
    assert second == OptionScores((), ())
    short = HuggingFaceEngine.of(engines["t5"].model, engines["t5"].tokenizer, context=10)
    assert [
        item.too_long
        for item in scores(
            short, [LikelihoodRequest("x" * 9, (" no, never",)), LikelihoodRequest("x" * 10, ("a",))]
        )
    ] == [False, True]


@pytest.mark.parametrize("options", [(), ("", " yes")])
def test_options_that_cannot_be_scored(
    options: tuple[str, ...], engines: dict[str, HuggingFaceEngine]
) -> None:
    with pytest.raises(InputError, match="option"):
        scores(engines["llama"], [LikelihoodRequest("what ?", options)])


@torch.inference_mode()
@pytest.mark.parametrize("family", ["t5", "t5-untied", "llama", "cohere2"])
def test_steps_give_the_log_probabilities_of_teacher_forcing(
    family: str, engines: dict[str, HuggingFaceEngine]
) -> None:
    """Three rows that start at different steps, two of them of one prompt, fed tokens that no model would
    choose; one leaves early."""
    engine = engines[family]
    texts = [f"{HEADER}{HEADER}one", f"{HEADER}{HEADER}number two ?"]
    prompts = [Prompt(tuple(engine.ids(text)), [], 0 if engine.seq2seq else 20) for text in texts]
    fed_ids = [[30, 31, 32, 33, 34, 35], [40, 41, 42], [50, 51, 52, 53]]
    of = [0, 1, 1]
    with torch.no_grad():
        known = [
            engine.model(
                **(
                    {
                        "input_ids": torch.tensor([prompts[index].ids]),
                        "decoder_input_ids": torch.tensor([[PAD, *ids]]),
                    }
                    if engine.seq2seq
                    else {"input_ids": torch.tensor([[*prompts[index].ids, *ids]])}
                )
            ).logits[0, -len(ids) - 1 :]
            for index, ids in zip(of, fed_ids, strict=True)
        ]
    worst, shifted = 0.0, math.inf
    attention = engine.model.config._attn_implementation
    with decoding_attention(engine.model) if not engine.seq2seq else nullcontext():
        decoder = T5Decoder(engine.model) if engine.seq2seq else CausalDecoder(engine.model)
        decoder.admit(prompts)
        rows: list[list[int]] = []  # row, what it was fed first, how many tokens since
        for step in range(7):
            if step < 3:
                rows.append([step, decoder.add(prompts[of[step]]), 0])
            logits = decoder.step(
                [first if count == 0 else fed_ids[row][count - 1] for row, first, count in rows]
            )
            for (row, _, count), step_logits in zip(rows, logits, strict=True):
                worst = max(
                    worst,
                    float((step_logits.log_softmax(-1) - known[row][count].log_softmax(-1)).abs().max()),
                )
                if count:
                    shifted = min(
                        shifted,
                        float(
                            (step_logits.log_softmax(-1) - known[row][count - 1].log_softmax(-1)).abs().max()
                        ),
                    )
            for index in reversed(range(len(rows))):
                rows[index][2] += 1
                if rows[index][2] > len(fed_ids[rows[index][0]]):
                    decoder.drop(index)
                    rows[index] = rows[-1]
                    rows.pop()
    assert engine.model.config._attn_implementation == attention
    assert worst < 1e-4
    assert shifted > 0.01  # a position off by one would be seen


BABYLLAMA = (
    Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "models/babyllama-tok105"
)


@pytest.mark.skipif(not BABYLLAMA.is_dir(), reason=f"needs a trained model at {BABYLLAMA}")
def test_a_trained_model_scores_as_by_plain_forwards() -> None:
    engine = HuggingFaceEngine.load(BABYLLAMA)
    assert engine.method == "causal"
    requests = [
        LikelihoodRequest(f"Once upon a time there was a {animal}.", (" He was happy.", " The end.", " zzz"))
        for animal in ("dog", "big red cat", "boy")
    ]
    for request, likelihoods in zip(requests, scores(engine, requests), strict=True):
        prompt = engine.ids(request.prompt)
        for option, value in zip(request.options, likelihoods.log_probabilities, strict=True):
            ids = engine.ids(request.prompt + option)[len(prompt) :]
            assert value == pytest.approx(plain(engine, prompt, ids), abs=1e-4)
