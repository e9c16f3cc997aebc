"""TyDi QA: counts, the exemplar rule, answers, and what a damaged folder says."""

import json
import os
from pathlib import Path

import pytest
from made_up_data import make_tydiqa, squad

from openflan.benchmark_data.tydiqa import TYDIQA_AVERAGED, TYDIQA_LANGUAGES
from openflan.errors import InputError
from openflan.evaluation import find_benchmark, score_file
from openflan.evaluation.tydiqa import read_squad, tydiqa_benchmark

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(
    not (DATA / "tydiqa").is_dir(), reason="no benchmark files: set OPENFLAN_SHARED"
)


def test_tydiqa_as_data() -> None:
    assert sum(size.questions for size in TYDIQA_LANGUAGES.values()) == 5_077
    assert len(TYDIQA_AVERAGED) == 8
    assert "english" not in TYDIQA_AVERAGED


@needs_data
def test_sizes_and_first_rows_are_those_of_the_files() -> None:
    for language, size in TYDIQA_LANGUAGES.items():
        ids = [row.id for row in read_squad(DATA / "tydiqa/dev" / f"{language}.json")]
        assert len(ids) == size.questions
        assert ids.index(min(ids)) == size.first_by_id
    assert {
        language: len(read_squad(DATA / "tydiqa/train" / f"{language}.json"))
        for language in ("english", "korean", "swahili")
    } == {
        "english": 3_696,
        "korean": 1_625,
        "swahili": 2_755,
    }


@needs_data
@pytest.mark.parametrize(
    ("mode", "shots", "asked"), [("direct", None, 5_077 - 6), ("direct", 0, 5_077), ("cot", None, 5_077)]
)
def test_all_prompts_render(mode: str, shots: int | None, asked: int) -> None:
    benchmark = find_benchmark("tydiqa", mode, DATA, shots=shots)
    rows = 0
    for language, task in benchmark.tasks.items():
        examples = benchmark.examples(language)
        missing = set(range(task.size)) - {example.index for example in examples}
        assert missing == ({task.exemplar_row} if examples[0].exemplar_split == "dev" else set())
        for example in examples:
            assert example.prompt.count("\nQuestion: ") == example.exemplars + 1
            assert example.prompt.endswith(
                "\nAnswer: Let's think step by step." if mode == "cot" else "\nAnswer:"
            )
            assert benchmark.correct(
                language,
                f"The answer is {example.target[0]}" if mode == "cot" else example.target[0],
                example.target,
            )
        rows += len(examples)
    assert rows == asked


def test_the_exemplar_is_the_first_by_id_of_train_or_else_of_dev(tmp_path: Path) -> None:
    benchmark = tydiqa_benchmark("direct", make_tydiqa(tmp_path))
    english = benchmark.examples("english")
    assert [example.index for example in english] == [0, 1, 2]
    assert english[1].prompt == (
        # english-8, though english-9 stands first
        "Passage: X is red.\nQuestion: What is red?\nAnswer: X\n\n"
        "Passage: C lies in D.\nQuestion: Where is C?\nAnswer:"
    )
    assert (english[0].target, english[0].exemplar_split) == (("in B", "B"), "train")
    finnish = benchmark.examples("finnish")
    assert [example.index for example in finnish] == [0, 2]
    assert finnish[0].prompt == (
        "Passage: C lies in D.\nQuestion: Where is C?\nAnswer: D\n\nPassage: A lies in B.\nQuestion: "
        "Where is A?\nAnswer:"
    )
    assert {example.exemplar_split for example in finnish} == {"dev"}
    assert finnish[0].fewer is not None
    assert finnish[0].fewer(0) == "Passage: A lies in B.\nQuestion: Where is A?\nAnswer:"


def test_questions_about_one_passage_are_one_cluster(tmp_path: Path) -> None:
    examples = tydiqa_benchmark("direct", make_tydiqa(tmp_path), shots=0).examples("telugu")
    assert [example.cluster for example in examples] == ["0", "1", "0"]


def test_exact_match_is_the_accuracy_with_f1_beside_it() -> None:
    said = {"korean": "The X", "english": "x y", "telugu": ""}
    lines = [
        json.dumps(
            {"task": language, "index": index, "generation": said.get(language, "z"), "target": ["x", "q"]}
        )
        for language, size in TYDIQA_LANGUAGES.items()
        for index in range(size.questions)
        if language != "korean" or index != size.first_by_id
    ]
    scores = score_file(lines, tydiqa_benchmark())
    tasks = scores.tasks
    assert scores.average == pytest.approx(100 / 8)
    assert (tasks["korean"].accuracy, tasks["korean"].metrics["f1"], tasks["korean"].n) == (100.0, 100.0, 275)
    assert (tasks["english"].accuracy, tasks["english"].metrics["f1"]) == (0.0, pytest.approx(200 / 3))
    assert (tasks["telugu"].extracted, tasks["telugu"].metrics["f1"]) == (0.0, 0.0)
    with pytest.raises(InputError, match="lacks 1 of"):
        score_file(lines[:-1], tydiqa_benchmark())


def test_a_missing_language_is_named(tmp_path: Path) -> None:
    root = make_tydiqa(tmp_path)
    (root / "dev/telugu.json").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of the 9 files of tydiqa: dev/telugu\.json"):
        tydiqa_benchmark("direct", tmp_path).examples("finnish")
    with pytest.raises(InputError, match="did you mean `finnish`"):
        tydiqa_benchmark("direct", tmp_path).task("finish")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not the layout of SQuAD"),
        ('{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1"}]}]}]}', r"'question'"),
        ('{"data": []}', "holds no question"),
        (json.dumps(squad([("a-1", "c", "q", [])])), "question a-1 has no answer"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    (make_tydiqa(tmp_path) / "dev/korean.json").write_text(text)
    with pytest.raises(InputError, match=rf"korean\.json.*{message}"):
        tydiqa_benchmark("direct", tmp_path).examples("korean")


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="--shots 0"):
        tydiqa_benchmark("cot", shots=1)
    with pytest.raises(InputError, match="1 exemplars"):
        tydiqa_benchmark("direct", shots=2)
    with pytest.raises(InputError, match="--data"):
        tydiqa_benchmark("direct").examples("korean")
