"""Our decoding against transformers' `generate`, and samples against the batches they are drawn in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import EOS, PAD, causal, llama, t5

from openflan.errors import InputError
from openflan.inference import Completion, HuggingFaceEngine, Request

MAKERS: dict[str, Callable[[Path], Path]] = {
    "t5": t5,
    "t5-untied": lambda folder: t5(folder, untied=True),
    "llama": llama,
    "mistral": lambda folder: causal(folder, "mistral", sliding_window=20, max_position_embeddings=200),
    "gpt2": lambda folder: causal(folder, "gpt2"),
}
HEADER = "few shot : one two three four . "
PROMPTS = [
    f"{HEADER if place % 2 else ''}{'word ' * (place % 5)}number {place * 37} ?" for place in range(12)
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


def answers(engine: HuggingFaceEngine, requests: Sequence[Request]) -> dict[tuple[int, int], Completion]:
    answered = [((index, one.sample), one) for index, one in engine.generate(requests)]
    assert len({key for key, _ in answered}) == len(answered) == sum(request.samples for request in requests)
    return dict(answered)


def said(engine: HuggingFaceEngine, request: Request) -> list[int]:
    """What transformers generates for a prompt alone."""
    ids = torch.tensor([engine.ids(request.prompt)])
    arguments = {
        "attention_mask": torch.ones_like(ids),
        "max_new_tokens": request.max_tokens,
        "do_sample": False,
        "num_beams": 1,
        "pad_token_id": PAD,
    }
    with torch.inference_mode():
        out = engine.model.generate(input_ids=ids, eos_token_id=EOS, **arguments)[0].tolist()
    return out[1:] if engine.seq2seq else out[ids.shape[1] :]


@every
@pytest.mark.parametrize("batch_tokens", [32_768, 150])
def test_greedy_text_is_that_of_transformers(
    family: str, batch_tokens: int, engines: dict[str, HuggingFaceEngine]
) -> None:
    engine = replace(engines[family], batch_tokens=batch_tokens)
    assert engine.method == ("t5" if engine.seq2seq else "causal")
    requests = [Request(prompt, 3 + 5 * (place % 4)) for place, prompt in enumerate(PROMPTS)]
    answered = answers(engine, requests)
    assert len({one.text for one in answered.values()}) > 6
    for index, request in enumerate(requests):
        new = said(engine, request)
        expected = Completion(
            engine.tokenizer.decode(new, skip_special_tokens=True),
            len(new),
            "eos" if new[-1] == EOS else "length",
        )
        assert answered[index, 0] == expected


@every
def test_transformers_own_way_gives_the_same(family: str, engines: dict[str, HuggingFaceEngine]) -> None:
    requests = [
        Request(prompt, 9, ("e", "xyz"), samples=2, temperature=0.8, top_k=20 * (index % 2))
        for index, prompt in enumerate(PROMPTS[:6])
    ]
    requests += [Request(prompt, 7) for prompt in PROMPTS]
    assert answers(engines[family], requests) == answers(
        replace(engines[family], method="transformers", batch_tokens=300), requests
    )


@every
def test_samples_do_not_depend_on_their_batch(family: str, engines: dict[str, HuggingFaceEngine]) -> None:
    engine = engines[family]
    requests = [
        Request(prompt, 8 + index % 3, samples=5, temperature=0.7, top_k=40)
        for index, prompt in enumerate(PROMPTS[:6])
    ]
    together = answers(engine, requests)
    assert len({one.text for one in together.values()}) > 20  # of 30
    assert answers(replace(engine, batch_tokens=90), requests) == together
    for index in (0, 5):
        assert answers(engine, [requests[index]]) == {
            (0, sample): together[index, sample] for sample in range(5)
        }
    backwards = answers(engine, requests[::-1])
    assert all(
        backwards[len(requests) - 1 - index, sample] == item for (index, sample), item in together.items()
    )


def test_more_samples_and_tokens_add_to_what_was_there(engines: dict[str, HuggingFaceEngine]) -> None:
    request = Request(PROMPTS[3], 6, samples=3, temperature=1.0, seed=1)
    few, many = (
        answers(engines["t5"], [request]),
        answers(engines["t5"], [replace(request, samples=6, max_tokens=12)]),
    )
    assert [many[key].text.startswith(one.text) for key, one in few.items()] == [True] * 3
    other = answers(engines["t5"], [replace(request, seed=2)])
    assert [one.text for one in other.values()] != [one.text for one in few.values()]


def test_greedy_samples_are_one(engines: dict[str, HuggingFaceEngine]) -> None:
    answered = answers(
        engines["llama"],
        [Request(PROMPTS[0], 6, samples=3), Request(PROMPTS[0], 6), Request("x" * 200, 6, samples=2)],
    )
    assert answered[0, 2] == replace(answered[1, 0], sample=2)
    assert [answered[2, sample].finish for sample in range(2)] == ["too-long"] * 2


def test_temperature_and_top_k_do_what_they_say(engines: dict[str, HuggingFaceEngine]) -> None:
    greedy = answers(engines["llama"], [Request(PROMPTS[1], 8)])[0, 0].text
    cold = answers(engines["llama"], [Request(PROMPTS[1], 8, samples=4, temperature=1e-3)])
    only = answers(engines["llama"], [Request(PROMPTS[1], 8, samples=4, temperature=2.0, top_k=1)])
    assert {one.text for one in [*cold.values(), *only.values()]} == {greedy}


def test_a_shared_prefix_changes_nothing(
    engines: dict[str, HuggingFaceEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    import openflan.inference.decoding_methods as decoding_methods

    requests = [Request(prompt, 12, samples=2, temperature=0.5) for prompt in PROMPTS]
    shared = {name: answers(engines[name], requests) for name in ("llama", "mistral")}
    lengths = []

    def never(prompts: Sequence[object]) -> list[object]:
        lengths.append(len(prompts))
        return list(prompts)

    monkeypatch.setattr(decoding_methods, "share_prefixes", never)
    assert {name: answers(engines[name], requests) for name in shared} == shared
    assert lengths == [12, 12]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bloom", {}),
        (
            "llama",
            {
                "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0},
                "max_position_embeddings": 64,
            },
        ),
    ],
)
def test_architectures_that_we_cannot_decode_are_left_to_transformers(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    engine = HuggingFaceEngine.load(causal(tmp_path, kind, **settings))
    assert engine.method == "transformers"
    requests = [Request(prompt, 5) for prompt in PROMPTS[:3]]
    assert [one.tokens for one in answers(engine, requests).values()] == [
        len(said(engine, request)) for request in requests
    ]


def test_a_model_in_memory_is_left_as_it_was(engines: dict[str, HuggingFaceEngine]) -> None:
    from openflan.models.causal import NAME, PackedCausal

    for name in ("t5", "llama"):
        loaded = engines[name]
        model = loaded.model.train()
        if name == "llama":
            PackedCausal(model)
        settings, attention = model.generation_config, model.config._attn_implementation
        engine = HuggingFaceEngine.of(model, loaded.tokenizer)
        assert answers(engine, [Request(PROMPTS[0], 6)]) == answers(
            replace(loaded, model=model), [Request(PROMPTS[0], 6)]
        )
        assert model.training
        assert model.generation_config is settings
        assert model.config._attn_implementation == attention
        assert (attention == NAME) == (name == "llama")
        assert HuggingFaceEngine.of(model, loaded.tokenizer).fingerprint == engine.fingerprint
        with torch.no_grad():
            parameter = next(model.parameters())
            parameter[0, 0] += 1
        assert HuggingFaceEngine.of(model, loaded.tokenizer).fingerprint != engine.fingerprint
        with torch.no_grad():
            parameter[0, 0] -= 1
        model.eval()
        if name == "llama":
            model.set_attn_implementation("sdpa")


def test_messages_go_through_the_chat_template(engines: dict[str, HuggingFaceEngine]) -> None:
    loaded = engines["llama"]
    with pytest.raises(InputError, match="no chat template"):
        HuggingFaceEngine.of(loaded.model, loaded.tokenizer, chat=True)
    loaded.tokenizer.chat_template = (
        "{% for m in messages %}<s>[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}={% endif %}"
    )
    engine = HuggingFaceEngine.of(loaded.model, loaded.tokenizer, chat=True)
    assert engine.tokenizer.decode(engine.ids("a b")) == "<s>[a b]="
    assert engine.fingerprint != HuggingFaceEngine.of(loaded.model, loaded.tokenizer).fingerprint
    loaded.tokenizer.chat_template = None


def test_precision_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    folder = t5(tmp_path)
    half, full_precision = HuggingFaceEngine.load(folder, dtype="bfloat16"), HuggingFaceEngine.load(folder)
    assert (half.model.dtype, full_precision.model.dtype) == (torch.bfloat16, torch.float32)
    assert (
        half.fingerprint
        != full_precision.fingerprint
        == HuggingFaceEngine.load(folder, dtype="float32").fingerprint
    )
    assert len(answers(half, [Request(PROMPTS[0], 6, samples=2, temperature=1.0)])) == 2
    with pytest.raises(InputError, match="did you mean `float32`"):
        HuggingFaceEngine.load(folder, dtype="float23")


def test_learned_positions_end_where_they_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="160 positions, each of them learned"):
        HuggingFaceEngine.load(causal(tmp_path, "gpt2"), context=161)


@pytest.mark.parametrize("changes", [{"samples": 0}, {"temperature": -1.0}, {"top_k": -1}])
def test_sampling_that_makes_no_sense(
    changes: dict[str, float], engines: dict[str, HuggingFaceEngine]
) -> None:
    with pytest.raises(InputError, match="expected"):
        list(engines["t5"].generate([Request("a", 3, **changes)]))  # type: ignore[arg-type]
