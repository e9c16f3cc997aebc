"""LoRA adapters: trained, resumed, exported, evaluated, and refused where they do not belong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from openflan.api.finetune import finetune, recipe_from_rows
from openflan.api.load_model import load_model
from openflan.api.options import LoadOptions
from openflan.embedded import bundled_models
from openflan.errors import InputError, SetupError
from openflan.models import adapter as adapters
from openflan.models.load_model import load_pretrained, save_pretrained
from openflan.models.packed import LossOptions, temporary_layout
from openflan.packing.encode import Encoded
from openflan.recipe.load_recipe import dump_recipe
from openflan.recipe.schema import Adapter, Model, Recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training.progress import Progress

pytest.importorskip("peft", reason="the extra `lora` is not installed")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # peft asks transformers by a name that it renames.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]

TINY = "embedded:microflan-tiny"
LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A T5 and a Llama, with the tokenizer of the former."""
    tiny, folder = bundled_models()[TINY], tmp_path_factory.mktemp("bases") / "llama"
    vocabulary = json.loads((tiny / "config.json").read_text())["vocab_size"]
    section = Model(config=LLAMA | {"vocab_size": vocabulary, "eos_token_id": 1}, tokenizer=str(tiny))
    from openflan.models.load_model import load_model as from_recipe
    from openflan.models.load_model import load_tokenizer

    save_pretrained(from_recipe(section, load_tokenizer(section), 0), folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder / name)
    return {"t5": TINY, "llama": str(folder)}


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = [
        json.dumps({"inputs": f"say {number} twice", "targets": f"{number} {number}"}) for number in range(40)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def recipe_of(rows: Path, base: str, *overrides: str) -> Recipe:
    keys = [
        "model.adapter.rank=4",
        "training.steps=4",
        "training.batch_size=2",
        "training.learning_rate=0.01",
        "packing.inputs=48",
        "packing.targets=24",
        "checkpoints.every=2",
    ]
    return recipe_from_rows(rows, base, overrides=[*keys, *overrides])


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    show = Progress.show

    def stop(self: Any, number: int, metrics: Any) -> None:
        show(self, number, metrics)
        if number == step:
            raise Stopped

    monkeypatch.setattr(Progress, "show", stop)


@pytest.mark.parametrize("kind", ["t5", "llama"])
@pytest.mark.parametrize("weights", ["float32", "bf16"])
def test_a_killed_run_ends_with_the_same_bits(
    kind: str,
    weights: str,
    bases: dict[str, str],
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = recipe_of(rows, bases[kind], f"training.weights={weights}", "model.adapter.dropout=0.1")
    assert wanted.training.optimizer == "adamw"
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    finetune(wanted, whole)
    with monkeypatch.context() as patched:
        killed_at(3, patched)
        with pytest.raises(Stopped):
            finetune(wanted, broken)
    finetune(wanted, broken)
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        assert (whole.folder / name).read_bytes() == (broken.folder / name).read_bytes()
    first, second = ([line["loss"] for line in read_jsonl(run.metrics)] for run in (whole, broken))
    assert first == second
    stored = load_file(whole.adapter / "adapter_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float32}
    assert any(bool(value.any()) for name, value in stored.items() if "lora_B" in name), "nothing was learned"


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_the_export_is_the_base_with_the_adapter_merged(
    kind: str, bases: dict[str, str], rows: Path, tmp_path: Path
) -> None:
    """peft, on the base and the folder of the adapter, has the logits of `model/` in float32; by default
    `model/` has the number format of the base."""
    import transformers
    from peft import PeftModel

    run = Run(tmp_path / "run")
    finetune(recipe_of(rows, bases[kind], "model.export_dtype=float32"), run)
    family = transformers.AutoModelForCausalLM if kind == "llama" else transformers.AutoModelForSeq2SeqLM
    base = bases["llama"] if kind == "llama" else str(bundled_models()[TINY])
    ids = torch.arange(5, 25)[None]
    inputs = {"input_ids": ids} if kind == "llama" else {"input_ids": ids, "decoder_input_ids": ids[:, :7]}
    before = family.from_pretrained(base, dtype=torch.float32).eval()
    with torch.no_grad():
        of_base = before(**inputs).logits
        by_peft = PeftModel.from_pretrained(before, str(run.adapter)).eval()(**inputs).logits
        merged = family.from_pretrained(run.model, dtype="auto").eval()
        found = merged(**inputs).logits
    assert merged.dtype == torch.float32
    assert torch.allclose(found, by_peft, atol=1e-5 * float(by_peft.abs().max()))
    assert (of_base - by_peft).abs().max() > 1e-2 * by_peft.abs().max(), "the adapter does nothing"
    if kind == "t5":
        finetune(recipe_of(rows, TINY), Run(tmp_path / "default"))
        kept = load_file(tmp_path / "default" / "model" / "model.safetensors")
        assert {value.dtype for value in kept.values()} == {torch.bfloat16}


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_an_adapter_folder_is_a_model_like_any_other(
    kind: str, bases: dict[str, str], rows: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    finetune(recipe_of(rows, bases[kind], "model.export_dtype=float32"), run)
    prompts = ["say 7 twice", "say 12 twice"]
    names = [(str(run.adapter), None), (str(run.folder), "4"), (str(run.folder), None)]
    loaded = [load_model(name, LoadOptions(checkpoint=step)) for name, step in names]
    texts = [[one.text for one in model.generate(prompts, max_tokens=12)] for model in loaded]
    assert texts[0] == texts[1] == texts[2]
    assert loaded[0].engine.fingerprint != load_model(bases[kind]).engine.fingerprint
    # Full finetuning from it begins with the merged weights.
    finetune(recipe_of(rows, str(run.adapter), "model.adapter=null", "training.steps=1"), tmp_path / "next")
    # A foreign folder has neither a configuration nor a tokenizer.
    foreign = tmp_path / "foreign"
    shutil.copytree(run.adapter, foreign)
    for path in foreign.iterdir():
        if not path.name.startswith("adapter_"):
            path.unlink()
    engine = load_model(str(foreign)).engine
    expected = load_model(str(run.adapter)).engine
    assert type(engine.model) is type(expected.model)
    assert all(
        torch.equal(*pair)
        for pair in zip(engine.model.parameters(), expected.model.parameters(), strict=True)
    )


def test_another_base_is_refused(
    bases: dict[str, str], rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, run = tmp_path / "base", Run(tmp_path / "run")
    shutil.copytree(bases["llama"], base)
    wanted = recipe_of(rows, str(base))
    with monkeypatch.context() as patched:
        killed_at(3, patched)
        with pytest.raises(Stopped):
            finetune(wanted, run)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] *= 1.001
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    for attempt in (
        lambda: finetune(wanted, run),
        lambda: load_pretrained(str(run.checkpoints / "step-2")),
    ):
        with pytest.raises(InputError, match=r"step-2: its adapter was trained on other weights than"):
            attempt()
    shutil.rmtree(base)
    with pytest.raises(InputError, match=r"step-2: an adapter without its base: .*Put the base back"):
        load_model(str(run.folder), LoadOptions(checkpoint="2"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.adapter.rank=4000"], r"model.adapter.rank is 4,000, but the smaller side of the largest"),
        (["model.adapter.targets=[q_projj]"], r"`q_projj` is not a linear layer of .*did you mean `q_proj`"),
        (["model.adapter.targets=[lm_head]"], r"`lm_head` is not a linear layer"),
    ],
)
def test_an_adapter_that_the_base_cannot_have_is_refused_before_data_are_read(
    overrides: list[str], message: str, bases: dict[str, str], rows: Path, tmp_path: Path
) -> None:
    wanted = recipe_of(rows, bases["llama"], *overrides)
    with pytest.raises(InputError, match=message):
        finetune(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_peft_the_remedy_is_named(
    bases: dict[str, str], rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install 'openflan\[lora\]'"):
        finetune(recipe_of(rows, bases["llama"]), tmp_path / "run")


@pytest.mark.parametrize("part", ["shape", "missing", "nan"])
def test_a_damaged_adapter_is_named(part: str, bases: dict[str, str], rows: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    finetune(recipe_of(rows, bases["llama"], "training.steps=1"), run)
    path = run.adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_A" in name)
    if part == "missing":
        del tensors[name]
    else:
        tensors[name] = tensors[name][:2] if part == "shape" else tensors[name] * float("nan")
    save_file(tensors, path)
    with pytest.raises(InputError, match=r"adapter_model.safetensors: `.*(not there|of shape|NaN)"):
        load_pretrained(str(run.adapter))


def test_some_targets_only(bases: dict[str, str]) -> None:
    model = load_pretrained(bases["llama"])
    section = Model(base=bases["llama"], adapter=Adapter(rank=2, targets=["q_proj", "v_proj"]))
    first = adapters.add_adapter(model, section, 5)
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    assert len(names) == 2 * 2 * 2
    assert all("q_proj" in name or "v_proj" in name for name in names)
    assert first.configuration.target_modules == ["q_proj", "v_proj"]
    # The same seed gives the same adapter, another another one.
    again, other = load_pretrained(bases["llama"]), load_pretrained(bases["llama"])
    adapters.add_adapter(again, section, 5)
    adapters.add_adapter(other, section, 6)
    values = [dict(one.named_parameters())[names[0]] for one in (model, again, other)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


FAMILIES = {
    "t5": {"feed_forward_proj": "gated-gelu"},
    "umt5": {},
    "llama": {},
    "qwen3": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_equals_alone(family: str, tmp_path: Path) -> None:
    """Documents in one sequence have the losses of transformers' own forward over each alone, through an
    adapter that is not zero."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    seq2seq = "t5" in family
    sizes = (
        {"vocab_size": 61, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
        if seq2seq
        else {key: value for key, value in LLAMA.items() if key != "model_type"} | {"vocab_size": 61}
    )
    config = AutoConfig.for_model(family, **sizes, **FAMILIES[family], pad_token_id=0, eos_token_id=1)
    config.decoder_start_token_id = 0
    torch.manual_seed(0)
    model = (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM).from_config(config)
    save_pretrained(model, tmp_path)
    adapters.add_adapter(model, Model(base=str(tmp_path), adapter=Adapter(rank=4)), 0)
    before = model.eval().double()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if adapters.is_adapter_parameter(name):
                value.copy_(torch.randn(value.shape) * 0.1)
    random = np.random.default_rng(1)
    documents = [
        Encoded(
            random.integers(3, 61, first).astype(np.int32), random.integers(3, 61, second).astype(np.int32)
        )
        for first, second in ((20, 7), (3, 9), (31, 4))
    ]
    with torch.no_grad():
        with temporary_layout(before, "flat", LossOptions()) as layout:
            losses, numbers = layout.losses(layout.batch([documents]))
        for number, document in enumerate(documents, 1):
            inputs, targets = (
                torch.tensor(ids)[None].long() for ids in (document.input_ids, document.target_ids)
            )
            if seq2seq:
                logits = before(input_ids=inputs, labels=targets).logits[0]
            else:
                joint = torch.cat([inputs, targets], 1)
                logits = before(input_ids=joint).logits[0, inputs.shape[1] - 1 : -1]
            alone = torch.nn.functional.cross_entropy(logits.double(), targets[0], reduction="none")
            assert torch.allclose(losses[numbers == number].double(), alone, atol=5e-7, rtol=5e-7)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["float32", "bf16"])
def test_two_ranks_train_the_adapter_of_one(
    weights: str, bases: dict[str, str], rows: Path, tmp_path: Path
) -> None:
    wanted = recipe_of(rows, bases["llama"], f"training.weights={weights}", "model.export_dtype=float32")
    (tmp_path / "recipe.yaml").write_text(dump_recipe(wanted))
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    verb = ["-m", "--", "openflan", "finetune", str(tmp_path / "recipe.yaml"), "--run", str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*program, *verb], env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    finetune(wanted, tmp_path / "one")
    one, two = (
        load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two")
    )
    bound = 1e-4 if weights == "float32" else 0.3
    assert one.keys() == two.keys()
    assert all((one[name] - two[name]).abs().max() <= bound * one[name].abs().max() for name in one)
    merged = load_file(tmp_path / "two" / "model" / "model.safetensors")
    of_adapter = dict(load_pretrained(str(tmp_path / "two" / "adapter")).named_parameters())
    bits = 1e-6 if weights == "float32" else 2**-8
    assert all(
        torch.allclose(value, of_adapter[name], rtol=bits, atol=bits) for name, value in merged.items()
    )
    # One process goes on from the checkpoint of two.
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-4")
    shutil.rmtree(tmp_path / "two" / "model")
    finetune(wanted, tmp_path / "two")
    resumed = load_file(tmp_path / "two" / "adapter" / "adapter_model.safetensors")
    assert all((two[name] - resumed[name]).abs().max() <= bound * two[name].abs().max() for name in two)
