"""Benchmarks of one's own: what a YAML file makes of its rows, and what it says to a wrong one."""

import importlib
import json
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.evaluation import score_file
from openflan.evaluation.custom_benchmark import custom_benchmark, is_custom_benchmark

CAPITALS = """
name: capitals
data: capitals.jsonl
instruction: Answer the question.
prompt: "Q: {question}\\nA:"
target: answer
exemplars: worked.jsonl
shots: 1
rationale: why
"""
ROWS = [
    {"question": "Capital of {France}?", "answer": "Paris"},
    {"question": "Of Peru?", "answer": ["Lima", "Lima, Peru"], "note": None},
]
WORKED = [
    {"question": "Of Italy?", "answer": "Rome", "why": "Italy is governed from Rome."},
    {"question": "Of Chad?", "answer": "N'Djamena", "why": "It is there."},
]


def write(
    folder: Path, text: str = CAPITALS, rows: list[dict[str, object]] | None = None, **files: str
) -> Path:
    (folder / "capitals.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in (ROWS if rows is None else rows)), encoding="utf-8"
    )
    (folder / "worked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in WORKED))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    (folder / "capitals.yaml").write_text(text, encoding="utf-8")
    return folder / "capitals.yaml"


def test_prompts_word_for_word(tmp_path: Path) -> None:
    benchmark = custom_benchmark(write(tmp_path))
    first, second = benchmark.examples("capitals")
    assert first.prompt == "Answer the question.\n\nQ: Of Italy?\nA: Rome\n\nQ: Capital of {France}?\nA:"
    assert (first.target, second.target, second.exemplars) == ("Paris", ("Lima", "Lima, Peru"), 1)
    assert first.fewer is not None
    assert first.fewer(0) == "Answer the question.\n\nQ: Capital of {France}?\nA:"
    cot = custom_benchmark(tmp_path / "capitals.yaml", "cot", shots=2).examples("capitals")[1]
    assert cot.prompt == (
        "Answer the question.\n\nQ: Of Italy?\nA: Italy is governed from Rome. The answer is Rome.\n\n"
        "Q: Of Chad?\nA: It is there. The answer is N'Djamena.\n\nQ: Of Peru?\nA:"
    )
    zero = custom_benchmark(tmp_path / "capitals.yaml", "cot", shots=0).examples("capitals")[1]
    assert zero.prompt == "Answer the question.\n\nQ: Of Peru?\nA: Let's think step by step."


def test_scores(tmp_path: Path) -> None:
    benchmark = custom_benchmark(write(tmp_path))
    lines = [
        json.dumps({"task": "capitals", "index": index, "generation": said, "target": ["Lima", "Lima, Peru"]})
        for index, said in enumerate(("x", "lima."))
    ]
    assert score_file(lines, benchmark).average == 50.0


def test_a_change_of_wording_is_another_version(tmp_path: Path) -> None:
    first = custom_benchmark(write(tmp_path)).prompt_version
    assert custom_benchmark(write(tmp_path)).prompt_version == first
    assert (
        custom_benchmark(write(tmp_path, CAPITALS.replace("Answer the", "Please answer the"))).prompt_version
        != first
    )
    assert custom_benchmark(write(tmp_path), shots=2).prompt_version != first


CHOICES = """
name: choices
data: {hard: hard.csv, easy: easy.csv}
prompt: "{question}\\n{options}\\nAnswer:"
options: choices
target: right
metric: letter
"""
CSV = 'question,choices,right\n"One, or\ntwo?",one | two,two\nWhich?,a|b|c|d,(C)\n'


def test_options_in_csv_files_and_several_tasks(tmp_path: Path) -> None:
    benchmark = custom_benchmark(
        write(tmp_path, CHOICES, hard_csv=CSV, easy_csv="question,choices,right\nWhich?,a|b,b\n")
    )
    first, second = benchmark.examples("hard")
    assert first.prompt == "One, or\ntwo?\n(A) one\n(B) two\nAnswer:"
    assert (first.target, second.target) == ("B", "C")
    assert {name: (task.size, task.chance) for name, task in benchmark.tasks.items()} == {
        "hard": (2, 37.5),
        "easy": (1, 50.0),
    }
    assert benchmark.correct("hard", "(B)", first.target)
    assert not benchmark.correct("hard", "(A)", first.target)
    assert benchmark.correct("hard", "B. two", "(B)")


@pytest.mark.parametrize(
    ("metric", "said", "target", "right", "beside"),
    [
        ("squad", "The Tower", "tower", True, {"f1": 1.0}),
        ("rouge_l", "the red tower", "the tower", False, {"rouge_l": 0.8}),
        ("numeric", "$1,200 a year", "1200", True, {}),
        ("accuracy", "Yes.", "yes", True, {}),
    ],
)
def test_metrics(
    tmp_path: Path, metric: str, said: str, target: str, right: bool, beside: dict[str, float]
) -> None:
    benchmark = custom_benchmark(write(tmp_path, CAPITALS + f"metric: {metric}\n"))
    assert benchmark.correct("capitals", said, target) is right
    assert {name: measure(said, target) for name, measure in benchmark.metrics.items()} == pytest.approx(
        beside
    )
    assert benchmark.tasks["capitals"].metric == ("rouge_l" if metric == "rouge_l" else "accuracy")


MINIMAL = 'name: x\ndata: capitals.jsonl\nprompt: "{question}"\ntarget: answer\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file; expected `name:`"),
        ("- a", "not a mapping"),
        ("a: [", "not valid YAML"),
        (MINIMAL + "shot: 3\n", "`shot` is not a key of a benchmark; did you mean `shots`"),
        (MINIMAL + "zzz: 3\n", "`zzz` is not a key of a benchmark; keys: name, data"),
        (MINIMAL.replace("target: answer\n", ""), "`target` is missing"),
        (MINIMAL.replace("name: x", "name: a/b"), "`name` is 'a/b': expected letters"),
        (
            MINIMAL.replace("{question}", "{question!r}"),
            r"`prompt` is .*: `\{question\}` is not a plain \{field\}",
        ),
        (MINIMAL.replace("{question}", "{question"), r"`prompt` is "),
        (MINIMAL.replace("{question}", "what?"), r"`prompt` is 'what\?': shows no \{field\}"),
        (MINIMAL + "shots: three\n", "`shots` is 'three': input should be a valid integer"),
        (MINIMAL + "shots: -1\n", "`shots` is -1: input should be greater than or equal to 0"),
        (MINIMAL + "metric: bleu\n", "`metric` is 'bleu': input should be 'exact_match', 'accuracy'"),
        (MINIMAL + "chance: 100\n", "`chance` is 100: input should be less than 100"),
        (MINIMAL + 'stop: [""]\n', "`stop` is .*holds an empty text"),
        (MINIMAL + "answer_phrases: []\n", "`answer_phrases` is"),
        (MINIMAL + "shots: 1\n", "1 exemplars are asked for and `exemplars:` names no file"),
        (
            MINIMAL + "shots: 3\nexemplars: worked.jsonl\n",
            r"worked\.jsonl: 2 exemplars, and `shots: 3` in capitals\.yaml",
        ),
        (
            MINIMAL + "shots: 1\nexemplars: absent.jsonl\n",
            r"absent\.jsonl: no such file, named in the benchmark x",
        ),
        (
            MINIMAL.replace("{question}", "{query}"),
            r"capitals\.jsonl:1: lacks `query`, which the prompt shows; it has question, answer",
        ),
        (
            MINIMAL.replace("target: answer", "target: anser"),
            r"capitals\.jsonl:1: lacks `anser`; did you mean `answer`",
        ),
        (MINIMAL + "options: choices\n", r"capitals\.jsonl:1: lacks `choices`; it has question, answer"),
        (MINIMAL + "options: answer\n", r"capitals\.jsonl:1: 1 options, expected 2 to 26"),
        (
            MINIMAL + "metric: letter\n",
            r"capitals\.jsonl:1: the target 'Paris' is neither a letter nor one of the options",
        ),
        (
            MINIMAL.replace("capitals.jsonl", "capitals.txt"),
            r"capitals\.txt: expected a \.jsonl or a \.csv file",
        ),
        (MINIMAL.replace("capitals.jsonl", "none.jsonl"), r"none\.jsonl: no rows"),
        (MINIMAL.replace("capitals.jsonl", "list.jsonl"), r"list\.jsonl:1 holds a list"),
        (MINIMAL.replace("capitals.jsonl", "torn.jsonl"), r"torn\.jsonl:2: not valid JSON"),
        (MINIMAL.replace("capitals.jsonl", "short.csv"), r"short\.csv:2: 1 columns, and the header has 2"),
        (MINIMAL.replace("capitals.jsonl", "twice.csv"), r"twice\.csv: its header names a column twice"),
        (MINIMAL.replace("capitals.jsonl", "empty.csv"), r"empty\.csv:2: `answer` is empty"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    others = {
        "capitals_txt": "x",
        "none_jsonl": "\n",
        "list_jsonl": "[1]\n",
        "torn_jsonl": '{"question": "q", "answer": "a"}\n{"quest\n',
        "short_csv": "question,answer\nq\n",
        "twice_csv": "question,question\nq,a\n",
        "empty_csv": "question,answer\nq,\n",
    }
    path = write(tmp_path, text, **others)
    with pytest.raises(InputError, match=message):
        custom_benchmark(path).examples("x")


def test_rationales_must_be_there(tmp_path: Path) -> None:
    text = MINIMAL + "shots: 1\nexemplars: worked.jsonl\n"
    with pytest.raises(InputError, match="needs `rationale:`"):
        custom_benchmark(write(tmp_path, text), "cot")
    with pytest.raises(
        InputError,
        match=r"worked\.jsonl:1: an exemplar without rationale: `--mode cot` needs the field `reason`",
    ):
        custom_benchmark(write(tmp_path, text + "rationale: reason\n"), "cot")
    with pytest.raises(InputError, match=r"worked\.jsonl\) has 2 exemplars: `--shots 3`"):
        custom_benchmark(write(tmp_path, text), shots=3)
    with pytest.raises(InputError, match="no such file; `--benchmark` takes a name"):
        custom_benchmark(tmp_path / "absent.yaml")


def test_a_benchmark_is_named_by_its_file() -> None:
    assert is_custom_benchmark("mine/my.yaml")
    assert not is_custom_benchmark("mmlu")


def test_the_example_of_the_documentation_is_one(tmp_path: Path) -> None:
    module = importlib.import_module("openflan.evaluation.custom_benchmark")
    documented = str(module.__doc__).partition("\n\n")[2].partition("\n\nOnly ")[0]
    text = "\n".join(line.removeprefix("    ") for line in documented.split("\n"))
    row = {"question": "Of Peru?", "answer": "Lima", "choices": ["Lima", "Cusco"], "explanation": "It is."}
    for name in ("capitals.jsonl", "worked.jsonl"):
        (tmp_path / name).write_text((json.dumps(row) + "\n") * 3)
    (tmp_path / "capitals.yaml").write_text(text)
    (first, *_) = custom_benchmark(tmp_path / "capitals.yaml").examples("capitals")
    assert first.prompt == "Answer the question.\n\n" + "Q: Of Peru?\nA: Lima\n\n" * 3 + "Q: Of Peru?\nA:"
