"""What is asked is planned before anything is answered: a suite finds what is wrong with its last benchmark
first, and an option that changed is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.api.evaluate import evaluate
from openflan.api.load_model import LoadedModel
from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.errors import InputError
from openflan.evaluation import Benchmark, BenchmarkTask, Example, generate_to
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.changed_request import changed_settings, differing_options
from openflan.evaluation.decoding import THINKING, Decoding
from openflan.evaluation.plan import request_key
from openflan.inference import Completion, Request
from openflan.inference.protocol import Turn
from openflan.models.locate import Located


@dataclass
class Echo:
    """Says the last word of each prompt."""

    fingerprint: str = "a" * 16
    chat: bool = False
    context: int = 99
    asked: list[str] = field(default_factory=list)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            self.asked.append(request.prompt)
            for sample in range(request.samples):
                yield index, Completion(request.prompt.split()[-1], 1, "eos", sample)


TOY = Benchmark(
    name="toy",
    mode="direct",
    tasks={"first": BenchmarkTask(2), "second": BenchmarkTask(2)},
    examples=lambda task: [Example(task, index, f"{task} {index}", str(index), 0) for index in range(2)],
    extract=lambda task, text: text,
    compare=exactly,
    averages={"average": ("first", "second")},
    max_tokens=7,
    prompt_version="toy-1",
)


def _loaded(engine: Echo) -> LoadedModel:
    return LoadedModel("echo", Located("echo", "final", None), engine, LoadOptions(chat=False))


def _own(folder: Path, name: str) -> str:
    (folder / f"{name}.jsonl").write_text('{"question": "say blue", "answer": "blue"}\n')
    path = folder / f"{name}.yaml"
    path.write_text(f'name: {name}\ndata: {name}.jsonl\nprompt: "{{question}}"\ntarget: answer\n')
    return str(path)


def test_a_suite_checks_all_its_benchmarks_before_it_answers_the_first(tmp_path: Path) -> None:
    names, engine = [_own(tmp_path, name) for name in ("one", "two")], Echo()
    options = EvaluateOptions(run=tmp_path / "run", max_tokens=4)
    evaluate(_loaded(engine), names[1:], options)
    other = Echo()
    with pytest.raises(InputError, match=r"two.*`--max-tokens` 4, now 5"):
        evaluate(_loaded(other), names, EvaluateOptions(run=tmp_path / "run", max_tokens=5))
    assert other.asked == []
    assert not (tmp_path / "run/generations/final-one-direct.jsonl").exists()
    with pytest.raises(InputError, match="likelihood"):
        evaluate(_loaded(other), names, EvaluateOptions(run=tmp_path / "new", likelihood=True))
    assert other.asked == []
    evaluate(_loaded(other), names, EvaluateOptions(run=tmp_path / "run", max_tokens=5, restart=True))
    assert len(other.asked) == 2


def test_another_subset_does_not_mix_another_decoding_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Echo(), subset=["first"], max_tokens=4)
    held = path.read_bytes()
    with pytest.raises(InputError, match=r"first 0 from another request.*`--max-tokens` 4, now 5"):
        generate_to(path, TOY, Echo(), subset=["second"], max_tokens=5)
    assert path.read_bytes() == held
    generate_to(path, TOY, Echo(), subset=["second"], max_tokens=4)
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("engine", "decoding", "named"),
    [
        (Echo(chat=True, fingerprint="c" * 16), Decoding(), "`--chat` false, now true"),
        (Echo(context=50, fingerprint="c" * 16), Decoding(), "`--context` 99, now 50"),
        (Echo(fingerprint="c" * 16), Decoding(), "the model's weights or its tokenizer"),
        (Echo(), Decoding(1, 0.5, 3), "`--temperature` absent, now 0.5"),
    ],
)
def test_the_option_that_changed_is_named(
    engine: Echo, decoding: Decoding, named: str, tmp_path: Path
) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Echo())
    with pytest.raises(InputError, match=named):
        generate_to(path, TOY, engine, decoding=decoding)
    assert engine.asked == []


def test_another_limit_of_thinking_is_named_and_the_usual_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Echo())
    assert generate_to(path, TOY, Echo(), thinking_tokens=THINKING * TOY.max_tokens).new == 0
    with pytest.raises(InputError, match="`--thinking-tokens` absent, now 5"):
        generate_to(path, TOY, Echo(), thinking_tokens=5)


@pytest.mark.parametrize(
    "other",
    [
        Request("p", 4, thinking_tokens=5),
        Request("p", 4, conversation="said"),
        Request("p", 4, before=(Turn("system", "brief"),)),
        Request("p", 4, before=(Turn("user", "brief"),)),
    ],
)
def test_what_is_sent_beside_a_prompt_changes_its_key(other: Request) -> None:
    plain = Request("p", 4)
    assert request_key("a", other) != request_key("a", plain)
    assert request_key("a", replace(plain, thinking_tokens=16)) == request_key("a", plain)


def test_lines_of_earlier_versions_say_only_that_something_changed(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Echo())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "settings": None}) + "\n" for line in lines))
    assert generate_to(path, TOY, Echo()).new == 0
    with pytest.raises(InputError, match="the model, the prompt or an option of decoding"):
        generate_to(path, TOY, Echo(), max_tokens=3)


VALUES = st.fixed_dictionaries(
    {"weights": st.sampled_from("ab"), "max_tokens": st.integers(1, 3)},
    optional={
        "temperature": st.sampled_from([0.5, 1.0]),
        "chat": st.booleans(),
        "context": st.integers(1, 2),
    },
)


@settings(max_examples=60, deadline=None)
@given(first=VALUES, second=VALUES)
def test_every_difference_is_named_once_and_nothing_else(
    first: dict[str, object], second: dict[str, object]
) -> None:
    listed = differing_options(first, second)
    options = {option.removeprefix("--").replace("-", "_") for option, _, _ in listed}
    different = {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
    assert options == different - {"weights"}
    changed = changed_settings(first, second)
    assert bool(changed) == bool(different)
    assert ("weights" in " ".join(changed)) == ("weights" in different and not options & {"chat", "context"})
