"""GSM8K: counts, prompts, where the exemplars come from, and what a damaged folder says."""

import json
import os
import sys
from pathlib import Path

import pytest
from made_up_data import make_gsm8k

from openflan.errors import InputError, SetupError
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.gsm8k_exemplars import gsm8k_exemplars

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(
    not (DATA / "gsm8k").is_dir(), reason="no benchmark files: set OPENFLAN_SHARED"
)

TASK_FILE = """
task: gsm8k_cot
doc_to_text: !function utils.doc_to_text
fewshot_config:
  sampler: first_n
  samples:
  - question: What is 4 + 4?
    target: Twice 4. The answer is 8.
"""


@needs_data
@pytest.mark.parametrize("mode", ["direct", "cot"])
def test_all_zero_shot_prompts_render(mode: str) -> None:
    benchmark = gsm8k_benchmark(mode, DATA, shots=0)  # type: ignore[arg-type]
    examples = benchmark.examples("gsm8k")
    assert [example.index for example in examples] == list(range(1_319))
    end = "\nA: Let's think step by step." if mode == "cot" else "\nA:"
    for example in examples:
        assert example.prompt.startswith("Q: ")
        assert example.prompt.endswith(end)
        assert benchmark.correct("gsm8k", f"The answer is {example.target}.", example.target)
        assert not benchmark.correct("gsm8k", f"The answer is {example.target}9.", example.target)


@needs_data
def test_published_answers_are_read() -> None:
    benchmark = gsm8k_benchmark("cot")
    for line in (DATA / "gsm8k/test.jsonl").read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)["answer"]
        assert benchmark.correct("gsm8k", answer, answer.rpartition("#### ")[2])


@needs_data
def test_the_train_split_has_its_rows() -> None:
    assert (DATA / "gsm8k/train.jsonl").read_bytes().count(b"\n") == 7_473


def test_few_shot_prompts_word_for_word(tmp_path: Path) -> None:
    make_gsm8k(tmp_path)
    (_, second) = gsm8k_benchmark("cot", tmp_path, shots=2).examples("gsm8k")
    assert second.prompt == (
        "Q: What is 0 + 1?\nA: One more. The answer is 1.\n\nQ: What is 1 + 1?\nA: One more. The answer "
        "is 2.\n\nQ: How much\u2028now?\nA:"
    )
    assert (second.target, second.exemplars) == ("1,200", 2)
    (first, _) = gsm8k_benchmark("direct", tmp_path, shots=1).examples("gsm8k")
    assert first.prompt == "Q: What is 0 + 1?\nA: The answer is 1.\n\nQ: How many?\nA:"
    assert gsm8k_benchmark("cot", tmp_path).examples("gsm8k")[0].exemplars == 8
    assert second.fewer is not None
    assert second.fewer(0) == "Q: How much\u2028now?\nA: Let's think step by step."


def test_exemplars_from_a_copy_of_lm_evals_task_file(tmp_path: Path) -> None:
    root = make_gsm8k(tmp_path, exemplars=None)
    (root / "gsm8k-cot.yaml").write_text(TASK_FILE)
    assert gsm8k_exemplars(root) == [("What is 4 + 4?", "Twice 4. The answer is 8.")]


def test_exemplars_from_the_installed_package_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_gsm8k(tmp_path, exemplars=None)
    package = tmp_path / "site/lm_eval"
    (package / "tasks/gsm8k").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "tasks/gsm8k/gsm8k-cot.yaml").write_text(TASK_FILE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert gsm8k_exemplars(root)[0][0] == "What is 4 + 4?"
    assert "lm_eval" not in sys.modules


def test_without_exemplars_anywhere_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_gsm8k(tmp_path, exemplars=None)
    monkeypatch.setattr("openflan.evaluation.gsm8k_exemplars.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install lm-eval.*exemplars\.json.*--shots 0"):
        gsm8k_benchmark("cot", tmp_path).examples("gsm8k")
    assert len(gsm8k_benchmark("cot", tmp_path, shots=0).examples("gsm8k")) == 2


def test_too_few_exemplars_are_an_error(tmp_path: Path) -> None:
    make_gsm8k(tmp_path, exemplars=7)
    with pytest.raises(InputError, match="found 7 exemplars for gsm8k, expected 8"):
        gsm8k_benchmark("cot", tmp_path).examples("gsm8k")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("exemplars.json", "{", r"exemplars\.json: not valid JSON"),
        (
            "exemplars.json",
            '[{"question": "q"}]',
            r"expected a list of objects with texts `question` and `answer`",
        ),
        ("exemplars.json", "3", "expected a list"),
        ("exemplars.json", json.dumps([{"question": "q", "answer": "five"}] * 8), "does not conclude"),
        ("test.jsonl", '{"question": "q"}\n', r"test\.jsonl:1 is no problem"),
        ("test.jsonl", '{"question": "q", "answer": "#### 1"}\n{\n', r"test\.jsonl:2: not valid JSON"),
        ("test.jsonl", '{"question": "q", "answer": "five"}\n', r"test\.jsonl:1: the answer has no `#### N`"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str, message: str) -> None:
    (make_gsm8k(tmp_path) / file).write_text(text)
    with pytest.raises(InputError, match=message):
        gsm8k_benchmark("direct", tmp_path).examples("gsm8k")


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "3",
        "fewshot_config: {}",
        "fewshot_config: {samples: 3}",
        "fewshot_config: {samples: [{question: 3}]}",
    ],
)
def test_other_task_files_are_refused(tmp_path: Path, text: str) -> None:
    root = make_gsm8k(tmp_path, exemplars=None)
    (root / "gsm8k-cot.yaml").write_text(text)
    with pytest.raises(InputError, match=r"gsm8k-cot\.yaml"):
        gsm8k_exemplars(root)


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="8 exemplars"):
        gsm8k_benchmark("cot", shots=9)
    with pytest.raises(InputError, match="--data"):
        gsm8k_benchmark("cot").examples("gsm8k")
    with pytest.raises(InputError, match=r"holds neither `gsm8k/` nor its files: expected test\.jsonl"):
        gsm8k_benchmark("cot", tmp_path).examples("gsm8k")
