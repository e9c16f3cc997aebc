"""SVAMP: prompts as Wei et al. 2022 made them, scores as a reader gives them."""

import json
from pathlib import Path

import pytest
from made_up_choices import make_svamp
from made_up_data import make_gsm8k

from openflan.errors import InputError, SetupError
from openflan.evaluation import find_benchmark, score_file


@pytest.mark.parametrize("hub", [False, True])
def test_body_and_question_are_one_line_in_the_order_of_the_authors_file(hub: bool, tmp_path: Path) -> None:
    benchmark = find_benchmark("svamp", "cot", make_svamp(tmp_path, hub=hub), shots=1)
    examples = benchmark.examples("svamp")
    assert examples[1].prompt == (
        "Q: What is 0 + 1?\nA: One more. The answer is 1.\n\nQ: Ana has 1 pens How many are half of them?\nA:"
    )
    assert [example.target for example in examples] == ["0", "0.5", "1", "1.5"]


def test_modes_and_shots(tmp_path: Path) -> None:
    make_svamp(tmp_path)
    usual = find_benchmark("svamp", "cot", tmp_path)
    assert (usual.shots, usual.tasks["svamp"].size) == (8, 1000)
    assert usual.examples("svamp")[0].prompt.count("\n\nQ: ") == 8
    direct = find_benchmark("svamp", "direct", tmp_path, shots=1).examples("svamp")[0].prompt
    assert direct.startswith("Q: What is 0 + 1?\nA: The answer is 1.\n\nQ: ")
    zero_shot = find_benchmark("svamp", "cot", tmp_path, shots=0).examples("svamp")[0].prompt
    assert zero_shot.endswith("\nA: Let's think step by step.")


def test_exemplars_are_also_those_of_gsm8k_beside_it(tmp_path: Path) -> None:
    make_svamp(tmp_path)
    (tmp_path / "svamp/exemplars.json").unlink()
    make_gsm8k(tmp_path)
    prompts = {
        find_benchmark("svamp", "cot", folder).examples("svamp")[0].prompt
        for folder in (tmp_path, tmp_path / "svamp")
    }
    assert len(prompts) == 1
    assert prompts.pop().startswith("Q: What is 0 + 1?\nA: One more.")


def test_missing_exemplars_and_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openflan.evaluation.gsm8k_exemplars.find_spec", lambda name: None)
    make_svamp(tmp_path, hub=True)
    (tmp_path / "svamp/exemplars.json").unlink()
    with pytest.raises(SetupError, match="the exemplars of svamp are not part of its files"):
        find_benchmark("svamp", "cot", tmp_path).examples("svamp")
    (tmp_path / "svamp/data/test-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"expected one of data/test-\*\.parquet"):
        find_benchmark("svamp", "cot", tmp_path, shots=0).examples("svamp")
    (tmp_path / "svamp/SVAMP.json").write_text(json.dumps([{"Body": "b", "Question": "q", "Answer": "many"}]))
    with pytest.raises(InputError, match=r"SVAMP\.json: row 1: `Answer` is 'many', expected a number"):
        find_benchmark("svamp", "cot", tmp_path, shots=0).examples("svamp")


@pytest.mark.parametrize(
    ("mode", "generation", "target", "right"),
    [
        ("cot", "Half of 3 is 1.5. The answer is 1.5.", "1.5", True),
        ("cot", "The answer is 2. Q: next The answer is 1.5.", "1.5", False),
        ("cot", "It is 145", "145", False),  # no answer phrase
        ("cot", "The answer is $145.00.", "145", True),
        ("direct", " 145", "145", True),
        ("direct", "The answer is 146.", "145", False),
    ],
)
def test_saved_generations_score_as_by_hand(mode: str, generation: str, target: str, right: bool) -> None:
    line = json.dumps({"task": "svamp", "index": 7, "generation": generation, "target": target})
    score = score_file([line], find_benchmark("svamp", mode), partial=True)
    assert score.average == 100.0 * right
