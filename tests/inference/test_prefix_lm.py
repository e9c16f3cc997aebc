"""Models whose prompts' tokens see one another, against transformers' own forward under an explicit mask, run
anew for every token."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import EOS, causal

from openflan.inference import Completion, HuggingFaceEngine, LikelihoodRequest, Request
from openflan.inference.batching import Prompt
from openflan.inference.causal_attention import decoding_attention
from openflan.inference.causal_decoding import CausalDecoder
from openflan.inference.sampling import draw_tokens, sampling_key_of, uniform
from openflan.models.load_model import load_pretrained

WINDOW = 24
MAKERS: dict[str, Callable[[Path], Path]] = {
    "llama": lambda folder: causal(folder, "llama", max_position_embeddings=200),
    "palm": lambda folder: causal(
        folder, "cohere", num_key_value_heads=1, logit_scale=32**-0.5, max_position_embeddings=200
    ),
    "neox": lambda folder: causal(folder, "gpt_neox", max_position_embeddings=200),
    "mistral": lambda folder: causal(folder, "mistral", sliding_window=WINDOW, max_position_embeddings=200),
    "gemma2": lambda folder: causal(
        folder, "gemma2", max_position_embeddings=200, query_pre_attn_scalar=8, tie_word_embeddings=False
    ),
}
OURS = ("llama", "palm", "neox", "mistral")
HEADER = "few shot : one two three four . "
PROMPTS = [
    *(f"{HEADER if place % 2 else ''}{'word ' * (place % 4)}number {place * 37} ?" for place in range(8)),
    "a",
    "?",
]
OPTIONS = (" yes", " no, it is not", " (C)")
every = pytest.mark.parametrize("family", MAKERS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stating(folder: Path, attention: str | None) -> Path:
    path = folder / "generation_config.json"
    config = {
        name: value for name, value in json.loads(path.read_text()).items() if name != "openflan_attention"
    }
    path.write_text(json.dumps(config | ({"openflan_attention": attention} if attention else {})))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: stating(make(tmp_path_factory.mktemp(name)), "prefix") for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, HuggingFaceEngine]:
    return {name: HuggingFaceEngine.load(folder) for name, folder in folders.items()}


@torch.inference_mode()
def logits_of(model: Any, ids: Sequence[int], prompt: int, window: int | None = None) -> torch.Tensor:
    """(positions, V): key k is seen by query q if both are the prompt's, or if it is no later and within q's
    window."""
    reach = window or len(ids)
    seen = torch.tensor(
        [
            [(key < prompt and query < prompt) or 0 <= query - key < reach for key in range(len(ids))]
            for query in range(len(ids))
        ]
    )
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    logits: torch.Tensor = model(
        input_ids=torch.tensor([list(ids)]), attention_mask=mask[None, None], use_cache=False
    ).logits[0]
    return logits


def window_for(family: str) -> int | None:
    return WINDOW if family == "mistral" else None


def grown(engine: HuggingFaceEngine, family: str, request: Request, sample: int = 0) -> list[int]:
    """The tokens of a completion, everything read anew for each of them."""
    prompt = engine.ids(request.prompt)
    new: list[int] = []
    while len(new) < request.max_tokens and new[-1:] != [EOS]:
        logits = logits_of(engine.model, [*prompt, *new], len(prompt), window_for(family))[-1:]
        if request.temperature:
            new += draw_tokens(
                logits,
                [uniform(sampling_key_of(request), sample, len(new))],
                request.temperature,
                request.top_k,
            )
        else:
            new.append(int(logits.argmax()))
    return new


def expected(engine: HuggingFaceEngine, family: str, request: Request, sample: int = 0) -> Completion:
    new = grown(engine, family, request, sample)
    return Completion(
        engine.tokenizer.decode(new, skip_special_tokens=True),
        len(new),
        "eos" if new[-1] == EOS else "length",
        sample,
    )


def answers(engine: HuggingFaceEngine, requests: Sequence[Request]) -> dict[tuple[int, int], Completion]:
    return {(index, one.sample): one for index, one in engine.generate(requests)}


def scores(engine: HuggingFaceEngine, prompts: Sequence[str]) -> list[tuple[float, ...]]:
    likelihoods = dict(engine.loglikelihood([LikelihoodRequest(prompt, OPTIONS) for prompt in prompts]))
    return [likelihoods[place].log_probabilities for place in range(len(prompts))]


@every
def test_greedy_text_is_that_of_the_whole_read_anew(
    family: str, engines: dict[str, HuggingFaceEngine]
) -> None:
    engine = engines[family]
    assert engine.method == ("causal" if family in OURS else "transformers")
    requests = [Request(prompt, 3 + 4 * (place % 3)) for place, prompt in enumerate(PROMPTS)]
    answered = answers(engine, requests)
    assert len({one.text for one in answered.values()}) > 5
    assert answered == {
        (place, 0): expected(engine, family, request) for place, request in enumerate(requests)
    }


@every
def test_log_probabilities_are_those_of_the_whole_alone_and_in_any_batch(
    family: str, engines: dict[str, HuggingFaceEngine]
) -> None:
    engine = engines[family]
    together = scores(engine, PROMPTS)
    values = []
    for prompt, likelihoods in zip(PROMPTS, together, strict=True):
        assert scores(engine, [prompt])[0] == pytest.approx(likelihoods, abs=1e-4)
        ids = engine.ids(prompt)
        for option, value in zip(OPTIONS, likelihoods, strict=True):
            letters = engine.option_ids(prompt, option)
            rows = logits_of(engine.model, [*ids, *letters], len(ids), window_for(family)).log_softmax(-1)[
                len(ids) - 1 : -1
            ]
            assert value == pytest.approx(
                float(rows.gather(1, torch.tensor(letters)[:, None]).sum()), abs=1e-4
            )
            values.append(value)
    assert len({round(value, 3) for value in values}) > 20  # a constant would prove nothing
    assert scores(replace(engine, batch_tokens=60), PROMPTS) == [
        pytest.approx(likelihoods, abs=1e-4) for likelihoods in together
    ]


@every
def test_the_same_weights_read_causally_say_something_else(
    family: str, folders: dict[str, Path], engines: dict[str, HuggingFaceEngine]
) -> None:
    """The control: were the key not honoured, the tests above would fail."""
    plain = HuggingFaceEngine.load(stating(folders[family], None))
    stating(folders[family], "prefix")
    assert not plain.prefix
    long = PROMPTS[:8]
    apart = [
        abs(first - other)
        for pair in zip(scores(engines[family], long), scores(plain, long), strict=True)
        for first, other in zip(*pair, strict=True)
    ]
    assert min(apart) > 1e-3
    assert sum(apart) / len(apart) > 0.1
    # A prompt of two tokens, BOS and a letter, is the least that differs; of one there would be nothing to
    # see.
    requests = [Request(prompt, 10) for prompt in long]
    assert answers(plain, requests) != answers(engines[family], requests)
    assert plain.fingerprint != engines[family].fingerprint


@pytest.mark.parametrize("family", ["palm", "mistral", "gemma2"])
def test_samples_are_drawn_from_the_same_probabilities(
    family: str, engines: dict[str, HuggingFaceEngine]
) -> None:
    requests = [
        Request(prompt, 6, samples=3, temperature=0.8, top_k=20 * (index % 2))
        for index, prompt in enumerate(PROMPTS[:4])
    ]
    answered = answers(engines[family], requests)
    assert len({one.text for one in answered.values()}) > 8
    assert answered == {
        (index, sample): expected(engines[family], family, requests[index], sample)
        for index in range(4)
        for sample in range(3)
    }
    assert answers(replace(engines[family], batch_tokens=60), requests) == answered


def test_samples_share_their_prompts_reading_and_prompts_share_nothing(
    engines: dict[str, HuggingFaceEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, read = engines["llama"], []
    inner = CausalDecoder.read
    monkeypatch.setattr(
        CausalDecoder,
        "read",
        lambda self, documents, *rest: (read.extend(map(len, documents)), inner(self, documents, *rest))[1],
    )
    answers(engine, [Request(prompt, 4, samples=5, temperature=1.0) for prompt in PROMPTS[:4]])
    assert sorted(read) == sorted(len(engine.ids(prompt)) for prompt in PROMPTS[:4])
    read.clear()
    answers(replace(engine, prefix=False), [Request(prompt, 4) for prompt in PROMPTS[:4]])
    assert sum(read) < sum(len(engine.ids(prompt)) for prompt in PROMPTS[:4]), (
        "causally, two of them share the header"
    )
    with pytest.raises(ValueError, match="cannot share their beginnings"), decoding_attention(engine.model):
        CausalDecoder(engine.model, prefix=True).admit([Prompt((5, 6, 7, 8), [], 2)])


def test_a_model_in_memory_is_asked_as_it_was_finetuned(
    folders: dict[str, Path], engines: dict[str, HuggingFaceEngine]
) -> None:
    """As between two steps of training, with our attention function in it."""
    from openflan.models.packed import packed_layout

    loaded = engines["palm"]
    model = load_pretrained(str(folders["palm"])).train()
    packed_layout(model, "flat")
    between = HuggingFaceEngine.of(model, loaded.tokenizer, separator=loaded.separator)
    assert between.prefix
    assert scores(between, PROMPTS) == [pytest.approx(one, abs=1e-5) for one in scores(loaded, PROMPTS)]
    assert model.training


def test_prompts_that_fill_a_window_are_refused_where_transformers_decodes(tmp_path: Path) -> None:
    folder = stating(
        causal(tmp_path, "gemma2", sliding_window=16, query_pre_attn_scalar=8, tie_word_embeddings=False),
        "prefix",
    )
    with pytest.warns(UserWarning, match="within a window of 16 only: longer prompts are refused"):
        engine = HuggingFaceEngine.load(folder)
    answered = answers(engine, [Request("a" * 10, 4), Request("a" * 11, 4)])
    assert [answered[place, 0].finish == "too-long" for place in range(2)] == [False, True]
    assert answered[0, 0] == expected(engine, "gemma2", Request("a" * 10, 4))
    likely = dict(engine.loglikelihood([LikelihoodRequest("a" * length, (" yes",)) for length in (11, 12)]))
    assert [likely[place].too_long for place in range(2)] == [False, True]
