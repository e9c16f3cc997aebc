"""BBH and MGSM from their published files: counts, exact prompts, what a wrong folder says."""

import json
import os
import shutil
import unicodedata
from pathlib import Path
from statistics import fmean

import pytest

from openflan.benchmark_data.bbh import BBH_TASKS, bbh_part
from openflan.errors import InputError
from openflan.evaluation import bbh_benchmark, find_benchmark, locate, mgsm_benchmark
from openflan.evaluation.mgsm_languages import LANGUAGES
from openflan.evaluation.statistics import normalized

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not (DATA / "bbh").is_dir(), reason="no benchmark files: set OPENFLAN_SHARED")

# Direct and chain-of-thought accuracies of Flan-T5-XXL and Flan-T5-Small by BBH file (Tables 17 to 19), in
# the order of BBH_TASKS.
XXL_DIRECT = (
    "54.4 60.4 54 66.4 .4 55.6 25.2 66.4 54 59.6 71.2 60.4 .8 58.4 42 42.5 58 53.6 43.2 77 70 31.2 "
    "18.8 13.6 27.2 52.8 6.4"
)
XXL_COT = (
    "62.4 55.6 58.8 63.2 .4 54.4 25.2 62.4 47.6 51.2 63.2 41.2 .4 60 40 44.5 50.8 35.6 33.6 55.1 "
    "63.2 30 21.2 13.2 30 52 3.6"
)
SMALL_DIRECT = (
    "54 48.1 22.4 31.2 0 53.2 8.8 65.2 22 16.8 30.8 43.2 0 58 5.6 21.9 17.2 13.2 22.4 46.6 54.8 28.4 "
    "22.4 14 30.8 53.6 2"
)
SMALL_COT = (
    "39.6 42.8 20.4 2 0 46.8 4 13.2 19.2 11.2 30 20.4 1.6 58 3.2 10.3 10.8 .8 15.2 9.6 54 17.2 15.2 "
    "8.8 25.6 36.8 1.2"
)


def _by_task(cells: str) -> dict[str, float]:
    return dict(zip(BBH_TASKS, map(float, cells.split()), strict=True))


def _bbh_normalized(cells: str) -> float:
    return fmean(normalized(accuracy, BBH_TASKS[task].chance) for task, accuracy in _by_task(cells).items())


def test_bbh_as_data() -> None:
    assert len(BBH_TASKS) == 27
    assert sum(task.size for task in BBH_TASKS.values()) == 6511
    assert (len(bbh_part("nlp")), len(bbh_part("algorithmic"))) == (12, 15)
    assert fmean(task.chance for task in BBH_TASKS.values()) == pytest.approx(26.0, abs=0.05)


def test_parts_reproduce_the_printed_means() -> None:
    accuracies = _by_task(XXL_DIRECT)
    assert fmean(accuracies.values()) == pytest.approx(45.3, abs=0.06)
    assert fmean(accuracies[task] for task in bbh_part("nlp")) == pytest.approx(59.0, abs=0.06)
    assert fmean(accuracies[task] for task in bbh_part("algorithmic")) == pytest.approx(34.4, abs=0.06)


@pytest.mark.parametrize(
    ("mmlu_direct", "mmlu_cot", "bbh_direct", "bbh_cot", "tydiqa", "mgsm", "printed"),
    [
        (55.1, 48.6, XXL_DIRECT, XXL_COT, 19.0, 4.9, 23.7),
        (28.7, 12.1, SMALL_DIRECT, SMALL_COT, 1.1, 0.2, -3.1),
    ],
)
def test_chances_reproduce_the_papers_normalised_average(
    mmlu_direct: float,
    mmlu_cot: float,
    bbh_direct: str,
    bbh_cot: str,
    tydiqa: float,
    mgsm: float,
    printed: float,
) -> None:
    parts = [
        normalized(mmlu_direct, 25),
        normalized(mmlu_cot, 25),
        _bbh_normalized(bbh_direct),
        _bbh_normalized(bbh_cot),
        tydiqa,
        mgsm,
    ]
    assert fmean(parts) == pytest.approx(printed, abs=0.06)


@needs_data
@pytest.mark.parametrize("mode", ["direct", "cot"])
@pytest.mark.parametrize("shots", [0, 1, 3])
def test_all_bbh_prompts_render(mode: str, shots: int) -> None:
    benchmark = find_benchmark("bbh", mode, DATA, shots=shots)
    end = "\nA: Let's think step by step." if mode == "cot" else "\nA:"
    rows = 0
    for name, task in benchmark.tasks.items():
        examples = benchmark.examples(name)
        assert [example.index for example in examples] == list(range(task.size))
        for example in examples:
            assert example.prompt.endswith(end)
            assert example.prompt.count("\n\nQ: ") == shots + 1
            assert example.prompt.count("Let's think step by step.") == (shots + 1 if mode == "cot" else 0)
            assert "canary" not in example.prompt
            assert example.exemplars == shots
            assert benchmark.correct(
                name,
                f"So the answer is {example.target}." if mode == "cot" else str(example.target),
                example.target,
            )
        rows += len(examples)
    assert rows == 6511


@needs_data
def test_bbh_rationale_prompt_is_the_published_file_then_the_question() -> None:
    task = next(iter(BBH_TASKS))
    published = (DATA / "bbh/cot-prompts" / f"{task}.txt").read_bytes().decode().split("\n", 2)[2]
    question = json.loads((DATA / "bbh" / f"{task}.json").read_text())["examples"][0]["input"]
    (first, *_) = bbh_benchmark("cot", DATA).examples(task)
    assert first.prompt == f"{published}\n\nQ: {question}\nA: Let's think step by step."


@needs_data
def test_bbh_direct_prompt_word_for_word() -> None:
    (first, *_) = bbh_benchmark("direct", DATA / "bbh").examples("boolean_expressions")
    assert first.prompt == (
        "Evaluate the result of a random Boolean expression.\n\n"
        "Q: not ( ( not not True ) ) is\nA: False\n\n"
        "Q: True and False and not True and True is\nA: False\n\n"
        "Q: not not ( not ( False ) ) is\nA: True\n\n"
        "Q: not ( True ) and ( True ) is\nA:"
    )


@needs_data
def test_bbh_zero_shot_keeps_a_description_of_two_paragraphs() -> None:
    (first, *_) = bbh_benchmark("direct", DATA, shots=0).examples("snarks")
    assert first.prompt.startswith(
        "Determine which of two sentences is sarcastic.\n\nAccording to Cambridge University Dictionary"
    )


@needs_data
def test_broken_bbh_rows_are_kept() -> None:
    benchmark = bbh_benchmark("direct", DATA)
    assert "(A) The NB" in benchmark.examples("snarks")[88].prompt
    for task, index in (("movie_recommendation", 163), ("ruin_names", 99), ("ruin_names", 144)):
        target = benchmark.examples(task)[index].target
        assert isinstance(target, str)
        assert not target.startswith("(")


@needs_data
@pytest.mark.parametrize("shots", [0, 8])
def test_all_mgsm_prompts_render(shots: int) -> None:
    benchmark = mgsm_benchmark(data=DATA / "mgsm", shots=shots)
    for code, language in LANGUAGES.items():
        assert unicodedata.is_normalized("NFC", language.question + language.step)
        examples = benchmark.examples(code)
        assert len(examples) == 250
        for example in examples:
            assert example.prompt.count(language.question) == shots + 1
            assert example.prompt.endswith("\n" + language.step.rstrip())
            assert isinstance(example.target, str)
            assert example.target.replace(",", "").isdecimal()
        assert sum("," in str(example.target) for example in examples) == 4


@needs_data
@pytest.mark.parametrize("shots", [0, 8])
def test_all_direct_mgsm_prompts_render(shots: int) -> None:
    benchmark = mgsm_benchmark("direct", DATA, shots=shots)
    numbers = [11, 29, 39, 9, 33, 8, 8, 5]
    for code, language in LANGUAGES.items():
        assert unicodedata.is_normalized("NFC", language.answer)
        examples = benchmark.examples(code)
        assert len(examples) == 250
        for example in examples:
            *shown, asked = example.prompt.split("\n\n" + language.question)
            assert [block.rpartition("\n")[2] for block in shown] == [
                f"{language.answer}{index}" for index in numbers[:shots]
            ]
            assert asked.endswith("\n" + language.answer.rstrip())
            assert benchmark.correct(code, f" {example.target}", example.target)
            assert benchmark.correct(code, f"{language.answer}{example.target}", example.target)
            assert not benchmark.correct(code, f"{example.target}0", example.target)


@needs_data
def test_mgsm_prompt_in_french() -> None:
    (first, *_) = mgsm_benchmark(data=DATA, shots=1).examples("fr")
    blocks = first.prompt.split("\n\n")
    assert len(blocks) == 2
    assert blocks[0].startswith("Question : Roger a 5 balles de tennis.")
    assert "\nRéponse étape par étape : Roger a commencé" in blocks[0]
    assert blocks[0].endswith("La réponse est 11.")
    assert blocks[1].startswith("Question : Les canes de Janet")
    assert blocks[1].endswith("\nRéponse étape par étape :")


@needs_data
def test_data_may_be_the_folder_or_its_parent() -> None:
    assert locate(DATA, "bbh") == locate(DATA / "bbh", "bbh") == DATA / "bbh"


@needs_data
def test_missing_files_are_named(tmp_path: Path) -> None:
    shutil.copytree(DATA / "bbh", tmp_path / "bbh")
    (tmp_path / "bbh/snarks.json").unlink()
    (tmp_path / "bbh/cot-prompts/navigate.txt").unlink()
    with pytest.raises(
        InputError, match=r"lacks 2 of the 54 files of bbh: snarks\.json, cot-prompts/navigate\.txt$"
    ):
        locate(tmp_path, "bbh")


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"holds neither `mgsm/` nor its files: expected exemplars\.json, mgsm_bn\.tsv, mgsm_de\.tsv and "
            r"9 more"
        ),
    ):
        locate(tmp_path, "mgsm")
    with pytest.raises(InputError, match="is not a folder"):
        locate(tmp_path / "absent", "mgsm")
    with pytest.raises(InputError, match="did you mean `mgsm`"):
        locate(tmp_path, "msgm")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for name in LANGUAGES:
        (tmp_path / f"mgsm_{name}.tsv").write_text(
            'a "quoted question\u2028on\t2,125\nno tab here\n', encoding="utf-8"
        )
    exemplars = {
        name: {str(place): {"q": "q", "a": "a"} for place in range(1, 9)}
        for name in LANGUAGES
        if name != "de"
    }
    (tmp_path / "exemplars.json").write_text(json.dumps({"mgsm_exemplars": exemplars}))
    with pytest.raises(InputError, match=r"mgsm_en\.tsv:2: 1 columns, expected 2"):
        mgsm_benchmark(data=tmp_path).examples("en")
    with pytest.raises(InputError, match=r"exemplars\.json lacks exemplars for `de`"):
        mgsm_benchmark(data=tmp_path).examples("de")


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="3 exemplars"):
        bbh_benchmark("cot", shots=4)
    with pytest.raises(InputError, match="--data"):
        bbh_benchmark("cot").examples("navigate")
    with pytest.raises(InputError, match="did you mean `bbh`"):
        find_benchmark("bbhh", "cot")
    with pytest.raises(InputError, match="did you mean `direct`"):
        find_benchmark("bbh", "directly")
