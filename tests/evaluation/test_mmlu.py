"""MMLU: counts, exact prompts, answers, and what a damaged folder says."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from made_up_data import HEADER, make_mmlu, mmlu_prompt

from openflan.benchmark_data.mmlu import GROUPS, SUBJECTS, subjects_of
from openflan.errors import InputError
from openflan.evaluation import find_benchmark, mgsm_benchmark, score_file
from openflan.evaluation.mmlu import mmlu_benchmark

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(
    not (DATA / "mmlu").is_dir(), reason="no benchmark files: set OPENFLAN_SHARED"
)


def test_mmlu_as_data() -> None:
    assert len(SUBJECTS) == 57
    assert sum(subject.validation for subject in SUBJECTS.values()) == 1_531
    assert sum(subject.test for subject in SUBJECTS.values()) == 14_042
    assert [len(subjects_of(group)) for group in GROUPS] == [18, 13, 12, 14]
    benchmark = mmlu_benchmark("cot")
    assert benchmark.averages["average"] == tuple(SUBJECTS)
    assert {task.chance for task in benchmark.tasks.values()} == {25.0}


@needs_data
@pytest.mark.parametrize("mode", ["direct", "cot"])
@pytest.mark.parametrize(("split", "questions"), [("validation", 1_531), ("test", 14_042)])
def test_all_prompts_render(mode: str, split: str, questions: int) -> None:
    benchmark = find_benchmark("mmlu", mode, DATA, split=split)
    rows = 0
    for name, task in benchmark.tasks.items():
        examples = benchmark.examples(name)
        assert [example.index for example in examples] == list(range(task.size))
        shown = 4 if mode == "cot" and name in ("college_chemistry", "formal_logic", "human_aging") else 5
        for example in examples:
            assert example.exemplars == shown
            assert example.prompt.count("\n\nQ: ") == shown + 1
            assert example.prompt.endswith("\nA: Let's think step by step." if mode == "cot" else "\nA:")
            assert "nan" not in example.prompt.rpartition("\n(A)")[2].split()
            assert benchmark.correct(name, f"The answer is ({example.target}).", example.target)
        rows += len(examples)
    assert rows == questions


@needs_data
def test_five_exemplars_a_subject() -> None:
    texts = [(DATA / "mmlu/dev" / f"{name}_dev.csv").read_bytes().decode() for name in SUBJECTS]
    rows = [list(csv.reader(io.StringIO(text, newline=""))) for text in texts]
    assert [len(of) for of in rows] == [5] * 57


@needs_data
def test_prompts_with_rationales_are_the_published_ones_then_the_question() -> None:
    published = json.loads((DATA / "mmlu/mmlu-cot.json").read_text(encoding="utf-8"))
    benchmark = mmlu_benchmark("cot", DATA / "mmlu")
    for name in SUBJECTS:
        first = benchmark.examples(name)[0]
        assert first.prompt.startswith(published[name] + "\n\nQ: ")
        assert first.fewer is not None
        assert first.fewer(0).startswith(published[name].partition("\n\nQ: ")[0] + "\n\nQ: ")


@needs_data
def test_direct_prompt_of_the_real_files() -> None:
    (first, *_) = mmlu_benchmark("direct", DATA, shots=1).examples("abstract_algebra")
    assert first.prompt.startswith(
        HEADER.format("abstract algebra")
        + "\n\nQ: Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\n(A) 0 (B) 1"
    )
    assert "\nA: (B)\n\nQ: " in first.prompt


def test_direct_prompt_word_for_word(tmp_path: Path) -> None:
    make_mmlu(tmp_path)
    (_, second) = mmlu_benchmark("direct", tmp_path, shots=1).examples("high_school_us_history")
    assert second.prompt == (
        "The following are multiple choice questions (with answers) about high school us history.\n\n"
        'Q: What is "0"?\nChoose, please.\n(A) None (B) NA (C) 0, at most (D) null\nA: (A)\n\n'
        'Q: What is "1"?\nChoose, please.\n(A) None (B) NA (C) 1, at most (D) null\nA:'
    )
    assert (second.target, second.exemplars, second.index) == ("B", 1, 1)
    assert mmlu_benchmark("direct", tmp_path, shots=1).prompt_version == "mmlu-direct-1-shot-1"


def test_the_other_ending_is_another_prompt_version(tmp_path: Path) -> None:
    make_mmlu(tmp_path)
    benchmark = mmlu_benchmark("direct", tmp_path, ending="period")
    assert "\nA: (A).\n\nQ: " in benchmark.examples("virology")[0].prompt
    assert benchmark.prompt_version == "mmlu-direct-5-shot-period-1"


def test_zero_shot_prompts(tmp_path: Path) -> None:
    make_mmlu(tmp_path)
    for mode, end in (("direct", "\nA:"), ("cot", "\nA: Let's think step by step.")):
        (first, *_) = mmlu_benchmark(mode, tmp_path, shots=0).examples("virology")  # type: ignore[arg-type]
        assert first.prompt == (
            f'{HEADER.format("virology")}\n\nQ: What is "0"?\nChoose, please.\n(A) None (B) NA (C) 0, at '
            f"most (D) null{end}"
        )


def test_prompts_shrink_from_their_end(tmp_path: Path) -> None:
    make_mmlu(tmp_path)
    (first, *_) = mmlu_benchmark("cot", tmp_path).examples("conceptual_physics")
    assert first.prompt.startswith("\n" + mmlu_prompt("conceptual_physics", 5))
    assert first.fewer is not None
    assert first.fewer(2) == "\n" + mmlu_prompt("conceptual_physics", 2) + first.prompt.removeprefix(
        "\n" + mmlu_prompt("conceptual_physics", 5)
    )
    assert mmlu_benchmark("cot", tmp_path).examples("formal_logic")[0].exemplars == 4


def test_a_folder_with_one_split_is_enough(tmp_path: Path) -> None:
    root = make_mmlu(tmp_path)
    for file in (root / "test").iterdir():
        file.unlink()
    assert len(mmlu_benchmark("cot", tmp_path).examples("virology")) == 2
    with pytest.raises(
        InputError, match=r"lacks 57 of the 114 files of mmlu: test/abstract_algebra_test\.csv"
    ):
        mmlu_benchmark("direct", tmp_path, split="test").examples("virology")


def test_missing_subjects_are_named(tmp_path: Path) -> None:
    root = make_mmlu(tmp_path)
    (root / "val/virology_val.csv").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of the 114 files of mmlu: val/virology_val\.csv$"):
        mmlu_benchmark("direct", tmp_path).examples("anatomy")
    (root / "mmlu-cot.json").write_text(json.dumps({"virology": mmlu_prompt("virology", 5)}))
    (root / "val/virology_val.csv").write_text("Q,a,b,c,d,A\n")
    with pytest.raises(InputError, match=r"mmlu-cot\.json has no prompt for `anatomy`"):
        mmlu_benchmark("cot", tmp_path).examples("anatomy")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("dev/virology_dev.csv", "Q,a,b,c,d,A\n", r"virology_dev\.csv: 1 exemplars, expected 5: .*--shots 1"),
        ("val/virology_val.csv", "Q,a,b,c,A\n", r"virology_val\.csv: row 1 has 5 columns, expected 6"),
        (
            "val/virology_val.csv",
            "Q,a,b,c,d,A\nQ,a,b,c,d,E\n",
            r"virology_val\.csv: row 2 has the answer 'E', expected one of A, B, C, D",
        ),
        ("val/virology_val.csv", "Q,a,b,c,d,\n", r"row 1 has the answer ''"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str, message: str) -> None:
    (make_mmlu(tmp_path) / file).write_text(text)
    with pytest.raises(InputError, match=message):
        mmlu_benchmark("direct", tmp_path).examples("virology")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"virology": 3}', json.dumps({"virology": mmlu_prompt("virology", 3)})]
)
def test_damaged_prompts_are_named(tmp_path: Path, text: str) -> None:
    (make_mmlu(tmp_path) / "mmlu-cot.json").write_text(text)
    with pytest.raises(
        InputError,
        match=r"mmlu-cot\.json(: 3 exemplars for `virology`| has no prompt for `virology`|: not valid JSON)",
    ):
        mmlu_benchmark("cot", tmp_path).examples("virology")


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="did you mean `validation`"):
        mmlu_benchmark("direct", split="validaton")
    with pytest.raises(InputError, match="5 exemplars"):
        mmlu_benchmark("direct", shots=6)
    with pytest.raises(InputError, match="--data"):
        mmlu_benchmark("direct").examples("virology")
    with pytest.raises(InputError, match="bbh has one split"):
        find_benchmark("bbh", "cot", split="test")


@pytest.mark.parametrize("target", ["C", "(C)", "(C)."])
def test_files_of_others_are_scored(target: str) -> None:
    lines = [
        json.dumps(
            {
                "task": name,
                "index": index,
                "generation": "(C)" if name == "virology" else "(A)",
                "target": target,
            }
        )
        for name, subject in SUBJECTS.items()
        for index in range(subject.validation)
    ]
    scores = score_file(lines, mmlu_benchmark("direct"))
    assert scores.average == pytest.approx(100 / 57)
    assert scores.averages["other"] == pytest.approx(100 / 14)
    assert scores.averages["stem"] == 0.0


def test_the_mean_over_questions_stands_beside_the_mean_over_subjects() -> None:
    """lm-eval's `acc` of the group, by its own rule: each subject's accuracy weighs as many questions as it
    has."""
    lines = [
        json.dumps(
            {"task": name, "index": index, "generation": "(C)" if index < len(name) else "(A)", "target": "C"}
        )
        for name, subject in SUBJECTS.items()
        for index in range(subject.validation)
    ]
    scores = score_file(lines, mmlu_benchmark("direct"))
    sizes = {name: subject.validation for name, subject in SUBJECTS.items()}
    right = {name: min(len(name), size) for name, size in sizes.items()}
    expected = 100 * sum(right.values()) / sum(sizes.values())
    assert scores.averages["average_over_questions"] == pytest.approx(expected)
    assert scores.average == pytest.approx(sum(100 * right[name] / sizes[name] for name in sizes) / 57)
    assert abs(expected - (scores.average or 0.0)) > 0.1
    interval = scores.intervals["average_over_questions"]
    assert interval.n == sum(sizes.values())
    # Wilson's interval of all questions in one.
    share, n, z = expected / 100, interval.n, 1.959964
    centre, reach = share + z * z / 2 / n, z * (share * (1 - share) / n + (z / 2 / n) ** 2) ** 0.5
    assert interval.ci95 == pytest.approx(
        [100 * (centre - reach) / (1 + z * z / n), 100 * (centre + reach) / (1 + z * z / n)], abs=1e-3
    )
    some = score_file(
        [line for line in lines if '"virology"' in line], mmlu_benchmark("direct"), partial=True
    )
    assert (
        some.averages["average_over_questions"]
        == some.average
        == pytest.approx(100 * right["virology"] / sizes["virology"])
    )
    other = json.dumps({"task": "en", "index": 0, "generation": "5", "target": "5"})
    other = json.dumps({"task": "en", "index": 0, "generation": "5", "target": "5"})
    assert "average_over_questions" not in score_file([other], mgsm_benchmark(), partial=True).averages
