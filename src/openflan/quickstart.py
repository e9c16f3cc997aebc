"""The whole path on the embedded world, offline: base, finetuning, held-out evaluation before and after, report.

The base is trained here, on plain text of the world, because no pretrained model comes with openflan yet; it then finetunes on instructions with a
quarter of that text replayed. A model with random weights that is finetuned alike shows what the instructions alone teach. All three are asked the
same held-out questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.groups import gain, group_scores, right_items
from openflan.evaluation.microflan import microflan_benchmark
from openflan.evaluation.record import evaluate_into
from openflan.recipe.load import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run import Run, write_json
from openflan.tasks.microflan import microflan_tasks, plain_sentences
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

VOCABULARY = 1_024
ITEMS = 16
"""Held-out questions a task."""

FORMS = {"qa": "question", "mc": "multiple choice", "verify": "yes or no", "fill": "completion", "steps": "two-hop question"}


def quickstart(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Runs everything into `folder` and returns what `summary.json` holds; goes on where an earlier call stopped. `say` tells a person what
    happens."""
    run, base, control = Run(folder), Run(folder / "base"), Run(folder / "random-init")
    tokenizer = folder / "tokenizer-made"
    if not tokenizer.is_dir():
        make_tokenizer(tokenizer)
    base_recipe = load_recipe("microflan-base", [f"model.tokenizer={tokenizer}"])
    recipe = load_recipe("microflan", [f"name={folder.name}", f"model.base={base.model}"])
    random_init = recipe.model_copy(update={"name": "random-init", "model": base_recipe.model})
    say("1/4  a small base model learns plain text of the embedded world (no instructions)")
    # The control needs no base, so it has the other core all the while. Spawned, as a forked process would share the libraries' threads.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_one_core) as other_core:
        _one_core()
        from_random = other_core.submit(_finetune, random_init, control, "")
        _finetune(base_recipe, base, "base")
        say("2/4  finetuning on instructions")
        _finetune(recipe, run, "finetune")
        say("     waiting for the control: the same from random weights")
        from_random.result()
    say("3/4  held-out questions: before, after, and the control")
    benchmark = microflan_benchmark("direct", limit=ITEMS)
    right = {label: _evaluate(run, label, model, benchmark) for label, model in (("base", base), ("final", run), ("random-init", control))}
    groups = held_out_groups(benchmark)
    summary = {
        "before": group_scores(right["base"], benchmark, groups),
        "after": group_scores(right["final"], benchmark, groups),
        "random_init": group_scores(right["random-init"], benchmark, groups),
        "gain": gain(right["base"], right["final"], benchmark, groups),
    }
    write_json(folder / "summary.json", summary)
    say("4/4  the report")
    return summary


def held_out_groups(benchmark: Benchmark) -> dict[str, list[str]]:
    """Held-out tasks by kind of generalisation and form of the question: `skill: completion` and so on."""
    tasks = microflan_tasks()
    groups: dict[str, list[str]] = {}
    for name in benchmark.tasks:
        groups.setdefault(f"{tasks[name].held_out}: {FORMS[name.rpartition('-')[2]]}", []).append(name)
    return groups


def make_tokenizer(folder: Path) -> None:
    """A byte-level BPE tokenizer for the world's text and its instructions, digits one by one; the same every time."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<pad>", "</s>", "<unk>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_sample_text(), trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)


def _sample_text() -> Iterator[str]:
    """Plain text, and a few instructions of every trainable task."""
    yield from plain_sentences()
    for name, task in microflan_tasks().items():
        if not task.held_out:
            renderer = Renderer(task, wordings_for(name, task.fields, packaged_wordings()))
            for row in range(min(20, len(task.rows))):
                example = renderer.render(row, Style(rationale=row % 2 == 0), seed=0, position=row)
                yield from (example.inputs, example.targets)


def _finetune(recipe: Recipe, run: Run, label: str) -> None:
    from openflan.training.finetune import finetune

    if not run.model.is_dir():
        finetune(recipe, run, label=label)


def _one_core() -> None:
    import torch

    from openflan.models.quiet import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(1)


def _evaluate(run: Run, label: str, model: Run, benchmark: Benchmark) -> dict[tuple[str, int], bool]:
    from openflan.inference.huggingface import HuggingFaceEngine

    evaluate_into(run, label, benchmark, HuggingFaceEngine.load(model.model))
    return right_items(run.generations / f"{label}-{benchmark.name}-{benchmark.mode}.jsonl", benchmark)
