"""`openflan mixture`: the ledger and packed rows, as a user reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import SHARED, openflan

from openflan.cli.print_ledger import span

RECIPE = """\
name: mine
model: {{base: {base}}}
mixture:
  submixtures:
    own: {{data: {data}, styles: {{few_shot: 0.5}}{more}}}
packing: {{inputs: 48, targets: 12}}
training: {{steps: 10, batch_size: 2}}
"""


@pytest.fixture
def recipe(tmp_path: Path, rows: Path, t5: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(base=t5, data=rows, more=", cap: 20"))
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, t5: Path) -> Path:
    """A recipe of sixty tasks, the last of which has half of all rows."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "data").mkdir()
    for index in range(60):
        line = json.dumps({"inputs": "what is the sky ?", "targets": "blue"}) + "\n"
        (folder / "data" / f"a_task_whose_name_is_long_{index:03}.jsonl").write_text(
            line * (59 if index == 59 else 1)
        )
    (folder / "mine.yaml").write_text(RECIPE.format(base=t5, data=folder / "data", more=""))
    return folder / "mine.yaml"


def test_the_ledger_says_what_is_drawn_what_is_lost_and_what_it_takes(recipe: Path) -> None:
    done = openflan("mixture", recipe, "--device", "h100", "--devices", 8, "--mfu", 0.5)
    assert done.returncode == 0, done.stderr
    assert "mine: 1 task, " in done.stdout
    task = next(line.split() for line in done.stdout.splitlines() if line.strip().startswith("own/rows"))
    assert task[1:4] == ["30", "10", "100.00"], "30 rows, 10 over the cap, all of the mixture"
    assert "packing, measured on 4,096 examples" in done.stdout
    assert "pruned exemplars" in done.stdout
    assert "packing.inputs" in done.stdout
    assert "memory on a device, 1 row at a time in float32" in done.stdout
    assert "by Table 2's rule" in done.stdout
    assert "on 8 x H100 SXM 80 GB, at 50% of 989 TFLOP/s" in done.stdout
    assert "assumed:" in done.stdout
    assert "openflan finetune" in done.stderr


def test_as_json_it_is_one_value_with_everything(recipe: Path) -> None:
    done = openflan("mixture", recipe, "--json", "--device-tflops", 100)
    ledger = json.loads(done.stdout)
    assert {
        "examples",
        "submixtures",
        "categories",
        "tasks",
        "measured",
        "capacities",
        "estimates",
        "left_out",
    } <= ledger.keys()
    (task,) = ledger["tasks"]
    assert (task["rows"], task["cap"], task["weight"], task["hidden_by_cap"], task["drawn"]) == (
        30,
        20,
        20,
        10,
        4_096,
    )
    assert (
        ledger["estimates"]["device_tflops"],
        ledger["estimates"]["devices"],
        ledger["estimates"]["mfu"],
    ) == (100, 1, 0.4)


def test_examples_to_measure_are_rounded_up_to_windows(recipe: Path) -> None:
    for asked, measured in ((4_096, 4_096), (4_097, 4_352)):
        assert (
            json.loads(openflan("mixture", recipe, "--json", "--measure", asked).stdout)["measured"][
                "examples"
            ]
            == measured
        )


def test_many_tasks_stay_readable(many: Path) -> None:
    done = openflan("mixture", many)
    shown = [line for line in done.stdout.splitlines() if line.strip().startswith("own/a_task")]
    assert len(shown) == 40
    assert "50.00" in shown[0], "the largest share stands first"
    assert "and 20 more with 16.9% of the mixture; --all prints them" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 140
    assert max(len(line.rstrip()) for line in shown) <= 120
    every = openflan("mixture", many, "--all")
    assert sum(line.strip().startswith("own/a_task") for line in every.stdout.splitlines()) == 60
    assert "--all prints them" not in every.stdout


def test_packed_rows_are_shown_with_their_examples_told_apart(recipe: Path) -> None:
    sequences = json.loads(openflan("mixture", recipe, "--show", 2, "--json").stdout)
    assert [row["row"] for row in sequences] == [0, 1]
    examples = {
        example["position"]: example
        for example in json.loads(
            openflan("mixture", recipe, "--show", 4_096, "--examples-only", "--json").stdout
        )
    }
    for row in sequences:
        assert [one["segment"] for one in row["examples"]] == list(range(1, len(row["examples"]) + 1))
        for example in row["examples"]:
            plain = examples[example["position"]]
            assert {key: example[key] for key in plain} == plain
        ends = [[0, 0], *([one["inputs_at"][1], one["targets_at"][1]] for one in row["examples"])]
        assert [[one["inputs_at"][0], one["targets_at"][0]] for one in row["examples"]] == ends[:-1]
        assert (
            ends[-1]
            == [row["input_tokens"], row["target_tokens"]]
            == [sum(one[f"{side}_tokens"] for one in row["examples"]) for side in ("input", "target")]
        )
        assert row["fill_inputs"] == pytest.approx(row["input_tokens"] / 48)
        assert row["fill_targets"] == pytest.approx(row["target_tokens"] / 12)
    printed = openflan("mixture", recipe, "--show", 1).stdout
    first = sequences[0]
    assert (
        f"sequence 0: {len(first['examples'])} examples, {first['input_tokens']} of 48 input tokens "
        f"({first['fill_inputs']:.1%})"
    ) in printed
    assert printed.count("task: own/rows") == len(first["examples"])
    assert f"sequence 0, segment 1 of {len(first['examples'])}: position 0, input tokens 0 to " in printed


def test_a_causal_row_is_one_sequence(llama: Path, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(base=llama, data=rows, more=""))
    (row,) = json.loads(openflan("mixture", path, "--show", 1, "--json").stdout)
    assert row["fill_inputs"] is None
    assert row["fill"] == pytest.approx((row["input_tokens"] + row["target_tokens"]) / 60)
    at = 0
    for example in row["examples"]:
        assert example["inputs_at"] == [at, at + example["input_tokens"]]
        at += example["input_tokens"] + example["target_tokens"]
        assert example["targets_at"] == [at - example["target_tokens"], at]
    assert at == row["input_tokens"] + row["target_tokens"]
    assert "of 60 tokens" in openflan("mixture", path, "--show", 1).stdout
    ledger = openflan("mixture", path)
    assert ledger.returncode == 0, ledger.stderr
    assert "of inputs" not in ledger.stdout


BAD = [
    (["--examples-only"], "add --show N"),
    (["--device", "h10"], "`h10` is not a device; did you mean `h100`?"),
    (["--device-tflops", 0], "--device-tflops 0: expected a number above 0"),
    (["--device-tflops", "nan"], "--device-tflops nan: expected a number above 0"),
    (["--mfu", 1.5], "--mfu 1.5: expected a share of the peak"),
    (["--mfu", 0], "--mfu 0: expected a share of the peak"),
    (["packing.targets=1"], "none of 256 examples fits 48 input and 1 target tokens"),
    (["packing.targets=1", "packing.on_overflow=error"], "target tokens do not fit 48 and 1"),
    (["mixture.submixtures.own.cap=0"], "cap"),
    (["mixture.rates={own: 0}"], "sum to 0"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
def test_what_cannot_be_is_refused_with_a_reason(arguments: list[object], says: str, recipe: Path) -> None:
    done = openflan("mixture", recipe, *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_task_without_rows_is_named(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    done = openflan("mixture", recipe, f"mixture.submixtures.own.data={tmp_path / 'empty.jsonl'}")
    assert done.returncode == 2
    assert "empty.jsonl" in done.stderr
    assert "empty file; expected one example a line" in done.stderr


def _changed(t5: Path, to: Path, file: str, **keys: object) -> Path:
    """A copy of a model folder with other keys in one of its files."""
    to.mkdir()
    for path in t5.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    values = json.loads((to / file).read_text())
    (to / file).write_text(
        json.dumps({key: value for key, value in (values | keys).items() if value is not None})
    )
    return to


def test_a_tokenizer_that_does_not_belong_to_the_model_is_refused(
    recipe: Path, t5: Path, tmp_path: Path
) -> None:
    small = _changed(t5, tmp_path / "small", "config.json", vocab_size=20)
    done = openflan("mixture", recipe, f"model.base={small}", f"model.tokenizer={t5}")
    assert (
        done.returncode,
        "has 29 tokens, the model embeds 20; use the model's own tokenizer" in done.stderr,
    ) == (2, True)
    endless = _changed(t5, tmp_path / "endless", "tokenizer_config.json", eos_token=None)
    done = openflan("mixture", recipe, f"model.tokenizer={endless}")
    assert (done.returncode, "has no EOS token" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0078, "0.0078 seconds"),
        (75, "75 seconds"),
        (150, "2.5 minutes"),
        (5 * 3_600, "5.0 hours"),
        (4 * 86_400, "4.0 days"),
    ],
)
def test_times_are_told_in_a_unit_that_suits_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.skipif(
    not (SHARED / "data" / "cot").is_dir() or not (SHARED / "tokenizers" / "flan-t5").is_dir(),
    reason="the public files are not here",
)
def test_the_real_files_lose_nothing_at_the_papers_capacities() -> None:
    data, tokenizer = (
        f"mixture.submixtures.cot.data={SHARED / 'data' / 'cot'}",
        f"model.tokenizer={SHARED / 'tokenizers' / 'flan-t5'}",
    )
    done = openflan(
        "mixture",
        "tiny-t5-cot",
        data,
        tokenizer,
        "packing.inputs=2048",
        "packing.targets=512",
        "mixture.submixtures.cot.tasks=cot/qasc",
        "--json",
    )
    measured = json.loads(done.stdout)["measured"]
    assert measured["counts"] == {"examples": 4_096, "truncated": 0, "pruned exemplars": 0}
    assert measured["fill"] > 0.85
