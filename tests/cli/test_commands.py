"""The commands, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import SHARED, openflan
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer


@pytest.fixture(scope="module")
def run(rows: Path, t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finetuned tiny T5, without a recipe."""
    folder = tmp_path_factory.mktemp("work")
    done = openflan(
        "finetune",
        "--data",
        rows,
        "--base",
        t5,
        "training.steps=12",
        "training.learning_rate=0.05",
        "packing.inputs=64",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "rows"


def test_finetuning_own_rows_needs_no_recipe_and_writes_the_one_it_used(run: Path) -> None:
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    recipe = (run / "recipe.yaml").read_text()
    assert "steps: 12" in recipe
    assert "inputs: 64" in recipe


def test_the_recipe_it_wrote_gives_the_same_weights(run: Path, tmp_path: Path) -> None:
    done = openflan("finetune", run / "recipe.yaml", "--run", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "model" / "model.safetensors").read_bytes() == (
        run / "model" / "model.safetensors"
    ).read_bytes()


def test_generate_gives_the_tokens_of_plain_transformers(run: Path) -> None:
    prompts = ["what is the sky ?", "what is one plus two ? say say"]
    done = openflan(
        "generate", run, "--file", _file(run.parent / "prompts.txt", prompts), "--max-tokens", 8, "--json"
    )
    assert done.returncode == 0, done.stderr
    ours = [answer["generation"] for answer in json.loads(done.stdout)]
    model, tokenizer = (
        AutoModelForSeq2SeqLM.from_pretrained(run / "model"),
        AutoTokenizer.from_pretrained(run / "model"),
    )
    for prompt, answer in zip(prompts, ours, strict=True):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        if ids[0, -1] != tokenizer.eos_token_id:
            ids = tokenizer(prompt + " </s>", return_tensors="pt").input_ids
        assert tokenizer.decode(model.generate(ids, max_new_tokens=8)[0], skip_special_tokens=True) == answer


def test_generate_takes_one_prompt_or_lines_until_an_empty_one(run: Path) -> None:
    result = openflan("generate", run, "what is grass ?", "--max-tokens", 4)
    lines = openflan(
        "generate", run, "--max-tokens", 4, stdin="what is grass ?\nwhat is the sky ?\n\nnever read\n"
    )
    assert result.returncode == lines.returncode == 0, lines.stderr
    assert len(lines.stdout.splitlines()) == 2
    assert lines.stdout.splitlines()[0] == result.stdout.splitlines()[0]


def test_a_causal_model_is_finetuned_within_its_context_and_exported(
    llama: Path, rows: Path, tmp_path: Path
) -> None:
    done = openflan(
        "finetune", "--data", rows, "--base", llama, "--run", tmp_path / "run", "training.steps=3"
    )
    assert done.returncode == 0, done.stderr
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "inputs: 32" in recipe, "half of the model's context of 64 tokens"
    assert "targets: 32" in recipe
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert openflan("generate", tmp_path / "run", "what is grass ?", "--max-tokens", 4).returncode == 0


def test_evaluation_of_the_embedded_world_and_the_report_live_in_the_run_folder(run: Path) -> None:
    for checkpoint in ("base", "last"):
        subset = "microflan/person_sport-qa,microflan/person_sport-mc"
        done = openflan(
            "evaluate",
            run,
            "--benchmark",
            "microflan",
            "--limit",
            2,
            "--subset",
            subset,
            "--max-tokens",
            3,
            "--checkpoint",
            checkpoint,
            "--json",
        )
        assert done.returncode == 0, done.stderr
        score = json.loads(done.stdout)
        assert {task: found["n"] for task, found in score["tasks"].items()} == dict.fromkeys(
            subset.split(","), 2
        )
    done = openflan("report", run)
    assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text()
    assert "person_sport" in page
    assert "<script" not in page


def test_mixture_prints_the_ledger_as_json(run: Path) -> None:
    done = openflan("mixture", run / "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr
    ledger = json.loads(done.stdout)
    assert ledger["tasks"][0]["share"] == 1.0
    assert ledger["tasks"][0]["rows"] == 30


def test_tasks_of_the_embedded_world_are_listed_and_shown() -> None:
    listed = json.loads(openflan("tasks", "list", "--submixture", "microflan", "--json").stdout)
    assert len(listed) >= 20
    assert len({task["category"] for task in listed}) >= 8
    shown = openflan("tasks", "show", "microflan/person_colour-qa", "--style", "few-shot", "--shots", 2)
    assert shown.returncode == 0, shown.stderr
    assert "exemplars: [" in shown.stdout


@pytest.mark.skipif(
    not (SHARED / "data" / "cot").is_dir(), reason="the public chain-of-thought files are not here"
)
def test_a_real_row_is_shown_with_its_provenance_and_absent_files_are_reported() -> None:
    shown = openflan(
        "tasks", "show", "cot/gsm8k", "--style", "few-shot-cot", "--data", SHARED / "data" / "cot", "--json"
    )
    (example,) = json.loads(shown.stdout)
    assert example["task"] == "cot/gsm8k"
    assert example["style"] == "few-shot-cot"
    assert example["targets"].rstrip(".").endswith("72")
    checked = json.loads(openflan("tasks", "check", "--data", SHARED / "data" / "cot", "--json").stdout)
    assert {row["task"] for row in checked if row["status"] == "missing"} == {"cot/esnli", "cot/qed"}
    assert sum(row["status"] == "works" for row in checked) == 7


BAD = [
    (["finetune", "no-such-recipe"], 2, "nor a packaged recipe"),
    (["finetune"], 2, "--data and --base"),
    (["finetune", "--data", "ROWS", "--base", "./nowhere"], 2, "no such folder"),
    (["finetune", "--data", "missing.jsonl", "--base", "T5"], 2, "missing.jsonl"),
    (["finetune", "--data", "ROWS", "--base", "EMPTY"], 2, "config.json"),
    (["finetune", "--data", "ROWS", "--base", "T5", "training.stepz=3"], 2, "did you mean `steps`"),
    (["finetune", "--data", "ROWS", "--base", "T5", "packing.targets=1"], 2, "none of"),
    (["finetune", "tiny-t5-cot"], 2, "mixture.submixtures.cot.data=PATH"),
    (["tasks", "show", "microflan/person_color-qa"], 2, "person_colour-qa"),
    (["tasks", "show", "microflan/person_colour-qa", "--style", "fewshot"], 2, "few-shot"),
    (["evaluate", "T5", "--benchmark", "bhb"], 2, "bbh"),
    (["evaluate", "T5", "--benchmark", "bbh"], 2, "--data"),
    (["report", "EMPTY"], 2, "recipe.yaml"),
    (["generate", "EMPTY", "hello"], 2, "config.json"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "says"), BAD, ids=[" ".join(arguments) for arguments, _, _ in BAD]
)
def test_bad_input_ends_with_one_message_and_no_traceback(
    arguments: list[str], code: int, says: str, rows: Path, t5: Path, tmp_path: Path
) -> None:
    places = {"ROWS": rows, "T5": t5, "EMPTY": tmp_path}
    done = openflan(*(places.get(argument, argument) for argument in arguments), folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    notices = ("finetune: own/rows: ", "finetune: rendering and tokenising ")
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith(notices)]
    assert len(lines) <= 2, done.stderr


def _file(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
