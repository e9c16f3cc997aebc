"""Greedy generation with tiny random models that the tests make: batches, stops, limits, refusals."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_models import BOS, EOS, PAD, llama, t5

from openflan.errors import InputError
from openflan.inference import Completion, HuggingFaceEngine, Request
from openflan.inference.fingerprint import folder_fingerprint
from openflan.models.folder import Separator
from openflan.packing.encode import Encoder, Limits
from openflan.templates.render import Rendered
from openflan.templates.style import Style


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make these tiny models ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    make: dict[str, Callable[[Path], Path]] = {"t5": t5, "llama": llama}
    return {name: function(tmp_path_factory.mktemp(name)) for name, function in make.items()}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, HuggingFaceEngine]:
    return {name: HuggingFaceEngine.load(folder) for name, folder in folders.items()}


def _answers(engine: HuggingFaceEngine, requests: list[Request]) -> list[Completion]:
    answered = dict(engine.generate(requests))
    assert sorted(answered) == list(range(len(requests)))
    return [answered[index] for index in range(len(requests))]


PROMPTS = [f"{'word ' * (place % 7)}number {place * 37} ?" for place in range(14)]
both = pytest.mark.parametrize("family", ["t5", "llama"])


@both
def test_a_completion_does_not_depend_on_its_batch(
    family: str, folders: dict[str, Path], engines: dict[str, HuggingFaceEngine]
) -> None:
    requests = [Request(prompt, 24 - place % 3, ("\n\n",)) for place, prompt in enumerate(PROMPTS)]
    together = _answers(engines[family], requests)
    assert (
        len({one.text for one in together}) > 7
    )  # of 14: a model that always says the same would prove nothing
    assert together == [_answers(engines[family], [request])[0] for request in requests]
    assert together == _answers(HuggingFaceEngine.load(folders[family], batch_tokens=150), requests)
    assert together[::-1] == _answers(engines[family], requests[::-1])


@both
def test_the_engine_agrees_with_a_plain_greedy_loop(
    family: str, engines: dict[str, HuggingFaceEngine]
) -> None:
    engine = engines[family]
    for prompt, completion in zip(
        PROMPTS, _answers(engine, [Request(prompt, 10) for prompt in PROMPTS]), strict=True
    ):
        ids = torch.tensor([engine.ids(prompt)])
        new = torch.tensor([[PAD]]) if family == "t5" else ids[:, :0]
        start = new.shape[1]
        with torch.inference_mode():
            while new.shape[1] - start < 10 and (new.shape[1] == start or new[0, -1] != EOS):
                arguments = (
                    {"input_ids": ids, "decoder_input_ids": new}
                    if family == "t5"
                    else {"input_ids": torch.cat([ids, new], dim=1)}
                )
                new = torch.cat([new, engine.model(**arguments).logits[:, -1:].argmax(-1)], dim=1)
        said = new[0, start:].tolist()
        assert completion == Completion(
            engine.tokenizer.decode(said, skip_special_tokens=True),
            len(said),
            "eos" if said[-1] == EOS else "length",
        )


@both
def test_text_is_cut_at_a_stop_string(family: str, engines: dict[str, HuggingFaceEngine]) -> None:
    uncut = _answers(engines[family], [Request(prompt, 24) for prompt in PROMPTS])
    position, text = next(
        (position, item.text)
        for position, item in enumerate(uncut)
        if len(item.text) >= 12 and item.text[6:8] not in item.text[:7] and "�" not in item.text
    )
    requests = [
        Request(prompt, 24, (text[6:8], "never said") if index == position else ())
        for index, prompt in enumerate(PROMPTS)
    ]
    cut = _answers(engines[family], requests)
    assert (cut[position].text, cut[position].finish) == (text[:6], "stop")
    assert cut[position].tokens < uncut[position].tokens
    assert [one for index, one in enumerate(cut) if index != position] == [
        item for index, item in enumerate(uncut) if index != position
    ]


@both
def test_an_end_of_sequence_ends_the_text(family: str, folders: dict[str, Path]) -> None:
    engine = HuggingFaceEngine.load(folders[family])
    free = _answers(engine, [Request(PROMPTS[0], 12)])[0]
    third = engine.tokenizer(free.text, add_special_tokens=False)["input_ids"][2]
    model = engine.model
    model.generation_config.eos_token_id = [EOS, third]
    ended = HuggingFaceEngine(
        **{name: getattr(engine, name) for name in engine.__slots__} | {"eos": frozenset({EOS, third})}
    )
    answer = _answers(ended, [Request(PROMPTS[0], 12), *[Request(prompt, 12) for prompt in PROMPTS[1:5]]])[0]
    assert answer.finish == "eos"
    assert answer.tokens <= 3
    assert free.text.startswith(answer.text[:2])


def test_prompts_that_do_not_fit_are_not_cut(
    folders: dict[str, Path], engines: dict[str, HuggingFaceEngine]
) -> None:
    # 96 positions, 16 for the answer, one for the beginning of sequence: 79 letters fit.
    answers = _answers(engines["llama"], [Request("x" * 79, 16), Request("x" * 80, 16), Request("y", 16)])
    assert [one.finish == "too-long" for one in answers] == [False, True, False]
    assert answers[1] == Completion("", 0, "too-long")
    # T5 has no positions to run out of: 2,048 with the end of sequence, whatever n_positions (16 here) says.
    answers = _answers(engines["t5"], [Request("x" * 2047, 1), Request("x" * 2048, 1)])
    assert [one.finish == "too-long" for one in answers] == [False, True]
    short = HuggingFaceEngine.load(folders["t5"], context=10)
    assert [
        item.finish == "too-long" for item in _answers(short, [Request("x" * 9, 4), Request("x" * 10, 4)])
    ] == [False, True]
    assert _answers(engines["llama"], [Request("x", 96)]) == [Completion("", 0, "too-long")]
    # Rotary positions go on beyond those of training, at one's own risk.
    with pytest.warns(UserWarning, match="trained on 96 positions"):
        longer = HuggingFaceEngine.load(folders["llama"], context=120)
    assert _answers(longer, [Request("x" * 100, 4)])[0].finish != "too-long"


def test_what_the_model_is_given(
    folders: dict[str, Path], engines: dict[str, HuggingFaceEngine], tmp_path: Path
) -> None:
    letter = engines["llama"].tokenizer("a", add_special_tokens=False)["input_ids"]
    assert engines["t5"].ids("a") == [*letter, EOS]
    assert engines["llama"].ids("a") == [BOS, *letter]
    paper = HuggingFaceEngine.load(folders["llama"], separator="eos")
    assert paper.ids("a") == [BOS, *letter, EOS]
    own = HuggingFaceEngine.load(folders["llama"], separator="eos", encode=lambda text: letter * len(text))
    assert own.ids("abc") == [*letter * 3, EOS]
    assert (
        len({engines["llama"].fingerprint, paper.fingerprint, own.fingerprint, engines["t5"].fingerprint})
        == 4
    )
    for source in folders["llama"].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    settings = tmp_path / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "openflan_layout": "paper"}))
    engine = HuggingFaceEngine.load(tmp_path)
    assert (engine.separator, engine.fingerprint) == ("eos", paper.fingerprint)
    settings.write_text('{"openflan_layout": "other"}')
    with pytest.raises(InputError, match="`openflan_layout` is 'other'"):
        HuggingFaceEngine.load(tmp_path)


@pytest.mark.parametrize(("family", "separator"), [("t5", "none"), ("llama", "eos")])
def test_a_prompt_has_the_ids_it_was_trained_with(
    family: str, separator: Separator, folders: dict[str, Path]
) -> None:
    engine = HuggingFaceEngine.load(folders[family], separator=separator)
    trained = Encoder(engine.tokenizer, Limits(inputs=64, targets=64, joint=family == "llama"))
    for text in ("a", "two words", " space before"):
        (encoded,) = trained.encode(
            [
                Rendered(
                    inputs=text,
                    targets="yes",
                    answer="yes",
                    task="a/b",
                    row=0,
                    style=Style(),
                    wording="plain",
                )
            ]
        )
        assert engine.ids(text) == encoded.input_ids.tolist()


def test_sampling_settings_of_a_folder_are_not_used(
    folders: dict[str, Path], engines: dict[str, HuggingFaceEngine], tmp_path: Path
) -> None:
    for source in folders["llama"].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    wild = {
        "do_sample": True,
        "temperature": 5.0,
        "repetition_penalty": 9.0,
        "min_new_tokens": 9,
        "num_beams": 2,
        "eos_token_id": EOS,
        "bos_token_id": BOS,
    }
    (tmp_path / "generation_config.json").write_text(json.dumps(wild))
    requests = [Request(prompt, 12) for prompt in PROMPTS[:8]]
    assert _answers(HuggingFaceEngine.load(tmp_path), requests) == _answers(engines["llama"], requests)


def test_fingerprints_follow_the_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    for source in folders["t5"].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    same = folder_fingerprint(folders["t5"])
    assert folder_fingerprint(tmp_path) == same
    assert len(same) == 16
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert folder_fingerprint(tmp_path) != same
        (tmp_path / name).write_bytes(before)
    assert folder_fingerprint(tmp_path) == same


def test_folders_that_are_no_checkpoints(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json, no \*\.safetensors, no tokenizer"):
        HuggingFaceEngine.load(tmp_path)
    with pytest.raises(InputError, match="no such folder; expected a Hugging Face model folder or a hub id"):
        HuggingFaceEngine.load(tmp_path / "absent")
    for source in folders["llama"].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no \*\.safetensors \(only pytorch_model\.bin, which is pickled"):
        HuggingFaceEngine.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights[:200])
    with pytest.raises(InputError, match="no safetensors file, or a damaged one"):
        HuggingFaceEngine.load(tmp_path)


def test_weights_of_another_model_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for source in folders["llama"].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"its weights lack model\.layers\.2"):
        HuggingFaceEngine.load(tmp_path)


def test_a_model_without_end_of_sequence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no end-of-sequence token"):
        HuggingFaceEngine.load(llama(tmp_path, eos=None))


def test_requests_that_make_no_sense(folders: dict[str, Path], engines: dict[str, HuggingFaceEngine]) -> None:
    with pytest.raises(InputError, match="max_tokens is 0"):
        list(engines["t5"].generate([Request("a", 0)]))
    with pytest.raises(InputError, match="a prompt is empty"):
        list(HuggingFaceEngine.load(folders["llama"], encode=lambda text: []).generate([Request("", 4)]))
    assert list(engines["t5"].generate([])) == []
