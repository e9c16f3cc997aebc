"""An exported model under lm-eval, over MMLU's own files: the same prompts, log-probabilities and choices as
ours, question by question.

lm-eval needs an environment of its own; OPENFLAN_LM_EVAL_PYTHON names its interpreter.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from openflan.benchmark_data.mmlu import SUBJECTS
from openflan.evaluation import Benchmark, BenchmarkTask
from openflan.evaluation.generate import Decoding, generate_to
from openflan.evaluation.generations import read_generations
from openflan.evaluation.lm_eval_log import write_lm_eval_log
from openflan.evaluation.mmlu import mmlu_benchmark
from openflan.inference import HuggingFaceEngine
from openflan.recipe.load_recipe import recipe_from
from openflan.run_folder import Run
from openflan.training.finetune import finetune

PYTHON = os.environ.get("OPENFLAN_LM_EVAL_PYTHON", "")
TASKS = Path(__file__).parents[2] / "examples" / "lm-eval"
ASKED = ("abstract_algebra", "world_religions")
QUESTIONS = 6
WORDS = ["moon", "salt", "river", "seven", "None", "NA", "glass", "wool"]
TEMPLATE = (
    "The following are multiple choice questions (with answers) about abstract algebra world "
    "religions. Q: A: Which of is not?\n(A) (B) (C) (D)"
)
T5 = {
    "model_type": "t5",
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "t5": (T5, "paper", ""),
    "llama": (LLAMA, "paper", "</s>"),
    "llama-plain": (LLAMA, "plain", ""),
}
"""Configuration, layout, and what lm-eval is told to put after a prompt."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="OPENFLAN_LM_EVAL_PYTHON names no interpreter that has lm-eval"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 57 subjects, as `locate` wants them; two are asked."""
    root = tmp_path_factory.mktemp("data")
    for split, count in (("dev", 5), ("val", QUESTIONS)):
        (root / split).mkdir()
        for index, subject in enumerate(SUBJECTS):
            with (root / split / f"{subject}_{split}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(_row(index + number + len(split)) for number in range(count))
    return root


def _row(index: int) -> list[str]:
    picked = [WORDS[(index * (step + 1) + step) % len(WORDS)] for step in range(6)]
    return [f"Which of {picked[4]}, {picked[5]} is\nnot {picked[0]}? ", *picked[:4], "ABCD"[index % 4]]


@pytest.fixture(scope="module", params=CASES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A kind of model and its folder, as `finetune` leaves it after a few steps."""
    folder = tmp_path_factory.mktemp(request.param)
    config, layout, _ = CASES[request.param]
    size = _tokenizer(folder / "words", seq2seq=request.param == "t5")
    rows = [
        {"inputs": f"Which of {first}, {second} is not {first}?", "targets": second}
        for first in WORDS
        for second in WORDS
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_from(
        {
            "name": "small",
            "model": {
                "config": config | {"vocab_size": size},
                "tokenizer": str(folder / "words"),
                "dropout": 0.0,
            },
            "mixture": {"submixtures": {"own": {"data": str(folder / "rows.jsonl")}}},
            "packing": {"inputs": 384, "targets": 16, **({} if layout == "paper" else {"layout": layout})},
            "training": {"learning_rate": 0.03, "batch_size": 2, "steps": 4},
        },
        "the test",
    )
    finetune(recipe, Run(folder / "run"))
    return request.param, Run(folder / "run").model


def _tokenizer(folder: Path, *, seq2seq: bool) -> int:
    """Words and punctuation, so that an option has three tokens; marks as T5 and Llama set them. Returns the
    number of tokens."""
    split = pre_tokenizers.Whitespace()
    known = sorted({word for text in (TEMPLATE, *WORDS, ", .") for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<s>", "<unk>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = split
    template, mark = ("$A </s>", ("</s>", 1)) if seq2seq else ("<s> $A", ("<s>", 2))
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[mark])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"} | (
        {} if seq2seq else {"bos_token": "<s>"}
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return len(vocabulary)


def _lm_eval(model: Path, data: Path, end: str, out: Path) -> list[dict[str, Any]]:
    """The samples that lm-eval logs over the model as it was exported."""
    metadata = {"data": str(data), "subjects": ASKED, **({"end": end} if end else {})}
    options = {
        "--model": "hf",
        "--model_args": f"pretrained={model}",
        "--tasks": "mmlu_local",
        "--include_path": str(TASKS),
        "--metadata": json.dumps(metadata),
        "--output_path": str(out),
        "--device": "cpu",
        "--batch_size": "3",
    }
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(out / "hub"),
        "OMP_NUM_THREADS": "1",
    }
    command = [PYTHON, "-m", "lm_eval", *(word for pair in options.items() for word in pair), "--log_samples"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | offline, cwd=out
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = out.glob("*/samples_mmlu_local_*.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_log_probabilities_and_choices_are_ours(
    exported: tuple[str, Path], data: Path, tmp_path: Path
) -> None:
    kind, model = exported
    rule = mmlu_benchmark("direct", data)
    ours = _ours(rule, model, tmp_path / "ours.jsonl")
    theirs = _lm_eval(model, data, CASES[kind][2], tmp_path)
    prompts = {(one.task, one.index): one.prompt for task in ASKED for one in rule.examples(task)}
    assert (
        [(sample["doc"]["subject"], sample["doc"]["index"]) for sample in theirs]
        == list(prompts)
        == list(ours)
    )
    spread = 0.0
    for sample in theirs:
        question = (sample["doc"]["subject"], sample["doc"]["index"])
        mine = ours[question]
        sent = [(one["arg_0"], one["arg_1"]) for one in sample["arguments"].values()]
        space = "" if CASES[kind][2] else " "
        assert sent == [(prompts[question] + CASES[kind][2], f"{space}({letter})") for letter in "ABCD"]
        values = [float(value) for ((value, _),) in sample["resps"]]
        assert values == pytest.approx(mine["log_probabilities"], abs=1e-4)
        assert mine["option_tokens"] == [3] * 4
        chosen = sample["doc"]["options"][values.index(max(values))].strip()
        assert chosen == mine["generation"]
        assert sample["acc"] == float(chosen == f"({mine['target']})")
        spread = max(spread, max(values) - min(values))
    assert spread > 0.01  # models that hold all options alike would agree on anything
    if kind == "t5":
        assert json.loads((model / "config.json").read_text())["n_positions"] == 384


@pytest.mark.parametrize("exported", ["llama-plain"], indirect=True)
def test_our_log_has_what_theirs_has(exported: tuple[str, Path], data: Path, tmp_path: Path) -> None:
    """Every key that lm-eval writes beside its metrics, with a value of the same kind, and nothing that its
    library of data sets cannot read."""
    _, model = exported
    rule = mmlu_benchmark("direct", data)
    _ours(rule, model, tmp_path / "ours.jsonl")
    small = Benchmark(
        **{name: getattr(rule, name) for name in Benchmark.__slots__}
        | {"tasks": {task: BenchmarkTask(QUESTIONS, 25.0) for task in ASKED}}
    )
    write_lm_eval_log(tmp_path / "log.jsonl", tmp_path / "ours.jsonl", small, prompts=True)
    mine = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    theirs = _lm_eval(model, data, "", tmp_path)
    kinds = {key: type(value) for key, value in theirs[0].items() if key not in theirs[0]["metrics"]}
    assert {key: type(mine[0][key]) for key in kinds} == kinds
    assert [sample["prompt_hash"] for sample in mine] == [sample["prompt_hash"] for sample in theirs]
    assert [sample["exact_match"] for sample in mine] == [sample["acc"] for sample in theirs]
    reading = (
        "import datasets, sys; print(len(datasets.load_dataset('json', data_files=sys.argv[1], "
        "split='train', cache_dir=sys.argv[2])))"
    )
    command = [PYTHON, "-c", reading, str(tmp_path / "log.jsonl"), str(tmp_path / "cache")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"HF_HUB_OFFLINE": "1"}
    )
    assert done.stdout.split() == [str(len(mine))], done.stderr[-3000:]


def _ours(rule: Benchmark, model: Path, path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Our lines by question, in the order of the tasks."""
    generate_to(path, rule, HuggingFaceEngine.load(model), subset=ASKED, decoding=Decoding(likelihood="sum"))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(list(read_generations(path))) == 2 * QUESTIONS
    assert {line["finish"] for line in lines} == {"eos"}
    assert {line["exemplars_dropped"] for line in lines} == {0}
    results = {(line["task"], line["index"]): line for line in lines}
    return dict(sorted(results.items(), key=lambda item: (ASKED.index(item[0][0]), item[0][1])))
