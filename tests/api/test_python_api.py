"""The names of `from openflan import ...`: what they cost, what they refuse, and that the page about them is
true."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import openflan
from openflan import EvaluateOptions, InputError, LoadOptions, SetupError, recipe_from_rows
from openflan.evaluation.score_record import EvaluationScore, Interval, ScoreKey
from openflan.evaluation.statistics import TaskScore
from openflan.run_folder import Run

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
NAMES = [
    "load_recipe",
    "open_mixture",
    "render",
    "load_model",
    "finetune",
    "evaluate",
    "compare",
    "score",
    "Run",
]
HEAVY = ("torch", "transformers", "pydantic", "numpy", "pandas", "pyarrow")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def blocks(page: Path) -> list[str]:
    """The Python code of a page, each block after as many blank lines as precede it on the page."""
    text = page.read_text(encoding="utf-8")
    return [
        "\n" * text[: match.start(1)].count("\n") + match[1]
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def test_the_code_of_the_page_runs_and_no_function_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["notebook", "--no-such-option"])
    printed: list[str] = []
    namespace: dict[str, Any] = {"print": lambda *values: printed.append(" ".join(map(str, values)))}
    code = blocks(PAGE)
    assert len(code) >= 7
    caplog.set_level(logging.INFO, "openflan.training")
    for block in code:
        exec(compile(block, str(PAGE), "exec"), namespace)  # noqa: S102
    assert capfd.readouterr() == ("", "")
    assert [line for line in printed if line.startswith("sums direct")] == [
        f"sums direct {done} of 4" for done in range(5)
    ]
    assert any("step 2 of 2" in message for message in caplog.messages)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_every_function(name: str) -> None:
    assert name in openflan.__all__
    assert f"`{name}" in PAGE.read_text(encoding="utf-8")


def test_import_openflan_loads_no_library_and_a_name_is_imported_when_used() -> None:
    code = (
        "import sys, openflan\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "openflan.EvaluateOptions(limit=1)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "openflan.load_recipe\n"
        "print('pydantic' in sys.modules, 'torch' in sys.modules)\n"
    )
    assert python(code).split("\n")[:3] == ["[]", "[]", "True False"]


def test_every_public_name_exists_is_documented_and_is_the_one_that_type_checkers_see() -> None:
    source = Path(openflan.__file__).read_text(encoding="utf-8")
    for name in openflan.__all__:
        value = getattr(openflan, name)
        if name != "__version__":
            assert value.__doc__, name
            assert re.search(rf"^    from openflan\.[\w.]+ import .*\b{name}\b", source, re.MULTILINE), name
    assert set(openflan.__all__) <= set(dir(openflan))
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        openflan.evaluat  # noqa: B018


def test_options_are_frozen_and_every_option_of_the_command_has_a_field() -> None:
    from openflan.cli.evaluate import evaluate

    with pytest.raises(FrozenInstanceError):
        EvaluateOptions().limit = 3  # type: ignore[misc]
    arguments = set(evaluate.__annotations__) - {"return"}
    in_options = {field.name for options in (EvaluateOptions, LoadOptions) for field in fields(options)}
    of_the_terminal = {"model", "benchmark", "against", "watch", "offline", "as_json", "with_base"}
    assert arguments - of_the_terminal == in_options - {"load"}


MINIMA = {"limit": 1, "shots": 0, "max_tokens": 1, "samples": 1, "temperature": 0, "top_k": 0}


@given(st.sampled_from(sorted(MINIMA)), st.integers(0, 10**6))
def test_numbers_below_their_minimum_are_refused_by_name(name: str, distance: int) -> None:
    EvaluateOptions(**{name: MINIMA[name] + distance})
    with pytest.raises(InputError, match=f"{name} is -?[0-9]+; expected a number of at least {MINIMA[name]}"):
        EvaluateOptions(**{name: MINIMA[name] - 1 - distance})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvaluateOptions(normalized=True), "needs `--likelihood`"),
        (EvaluateOptions(likelihood=True, samples=3), "draws no samples"),
        (EvaluateOptions(samples=3, temperature=0), "would all be equal"),
        (EvaluateOptions(fetch=True, data="DATA"), "`--fetch` excludes `--data`"),
        (EvaluateOptions(load=LoadOptions(model_name="m")), "is not an address"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_anything_is_loaded(
    options: EvaluateOptions, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        openflan.evaluate("embedded:microflan-tiny", ["microflan-probes"], options)


def test_a_subset_that_is_a_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"such as \('snarks',\)"):
        EvaluateOptions(subset="snarks")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("microflan/person_colour-qaa", {}, "did you mean `microflan/person_colour-qa`"),
        ("microflan/person_colour-qa", {"index": 10**6}, "rows"),
        ("microflan/person_colour-qa", {"style": "one-shot"}, "one-shot"),
        ("cot/gsm8k", {"data": "absent"}, "absent: no such file"),
    ],
)
def test_render_refuses_what_does_not_exist(task: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        openflan.render(task, **arguments)


SCORE = EvaluationScore(
    ScoreKey("final", "mine", "cot", shots=2),
    {"average": 62.5, "empty": None},
    {"a": TaskScore(accuracy=50.0, n=4, value=75.0, stderr=2.0, ci95=(10.0, 90.0)), "b": TaskScore(25.0, 8)},
    intervals={"average": Interval((40.0, 80.0), 12)},
)


def test_a_frame_has_a_line_for_each_average_and_task() -> None:
    pytest.importorskip("pandas")
    frame = SCORE.to_frame()
    assert frame["name"].tolist() == ["average", "empty", "a", "b"]
    assert frame["kind"].tolist() == ["average", "average", "task", "task"]
    assert frame["value"].dropna().tolist() == [62.5, 75.0, 25.0]
    assert frame["ci95_low"].dropna().tolist() == [40.0, 10.0]
    assert set(frame["model"]) == {"final"}
    assert set(frame["decoding"]) == {"greedy"}


def test_without_pandas_a_frame_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for result in (SCORE, Run(tmp_path), openflan.Comparison({"benchmarks": []})):
        with pytest.raises(SetupError, match="pip install pandas"):
            result.to_frame()


def test_chain_of_thought_files_are_found_in_a_folder_named_cot(tmp_path: Path) -> None:
    (tmp_path / "cot").mkdir()
    (tmp_path / "cot" / "gsm8k_train.tsv").write_text("What is 1+1?\t2\tOne and one is two.\n" * 3)
    recipe = recipe_from_rows(tmp_path, "embedded:microflan-tiny")
    assert list(recipe.mixture.submixtures) == ["cot"]
