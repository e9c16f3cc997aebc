"""The card of a pushed model (README.md): what the run folder says, and nothing that was not measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from openflan import __version__
from openflan.errors import InputError, shortened
from openflan.evaluation.score_record import EvaluationScore, read_scores
from openflan.json_files import read_json_file
from openflan.local_paths import is_local_path, last_part
from openflan.models.folder import attention_of, layout_of
from openflan.models.hub import HUB_ID
from openflan.packing.special_tokens import Layout
from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run

_REPAIR = "restore it, or export the model again"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made of. `layout` is that of a causal model; an encoder-decoder has none. `adds_eos`:
    the tokenizer itself ends a text with its end-of-sequence token. `prefix`: the inputs of a causal model
    attend in both directions."""

    repository: str
    recipe: AnyRecipe
    scores: Sequence[EvaluationScore]
    base: str | None
    seq2seq: bool
    adds_eos: bool
    layout: Layout | None
    prefix: bool
    adapter: bool

    @classmethod
    def of(
        cls, run: Run, folder: Path, repository: str, *, adapter: bool = False, base: str | None = None
    ) -> CardFacts:
        """The facts of a run whose model or adapter lies in `folder`. Raises InputError for damaged files."""
        recipe = load_any_recipe(run.recipe)
        config = folder / "config.json"
        settings = read_json_file(config, remedy=_REPAIR) if config.is_file() else {}
        return cls(
            repository,
            recipe,
            read_scores(run.scores),
            base or recipe.model.base,
            bool(isinstance(settings, dict) and settings.get("is_encoder_decoder")),
            _adds_eos(folder),
            layout_of(folder),
            attention_of(folder) == "prefix",
            adapter,
        )


def write_card(facts: CardFacts) -> str:
    """The card as Markdown, with the metadata that the hub reads."""
    metadata = yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True)
    sections = [
        f"---\n{metadata}---\n\n# {facts.repository.partition('/')[2]}\n\n{_summary(facts)}",
        f"## Prompt\n\n{_prompt(facts)}\n\n```python\n{_code(facts)}```",
        f"## Training\n\n{_training(facts.recipe)}",
        f"## Scores\n\n{_scores(facts.scores)}",
        (
            "## Not stated here\n\nThe licences of the base and of the data, what the model must not be used "
            "for, and whatever was not measured above."
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _adds_eos(folder: Path) -> bool:
    """Whether the tokenizer of a folder ends a text with its end-of-sequence token. False where the folder
    does not say so in the form of today's tokenizers."""
    file, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not file.is_file() or not settings.is_file():
        return False
    from tokenizers import Tokenizer

    named = read_json_file(settings, remedy=_REPAIR)
    eos = named.get("eos_token") if isinstance(named, dict) else None
    try:
        tokens = Tokenizer.from_file(str(file)).encode("a").tokens
    # The library raises Exception itself for a file that it does not know.
    except Exception as error:
        raise InputError(f"{file}: {shortened(str(error))}; {_REPAIR}") from None
    return bool(tokens) and tokens[-1] == (eos["content"] if isinstance(eos, dict) else eos)


def _on_hub(name: str | None) -> bool:
    return name is not None and "/" in name and HUB_ID.fullmatch(name) is not None


def _metadata(facts: CardFacts) -> dict[str, object]:
    values: dict[str, object] = {"library_name": "peft" if facts.adapter else "transformers"}
    if not facts.seq2seq:
        values["pipeline_tag"] = "text-generation"
    if _on_hub(facts.base):
        values |= {
            "base_model": facts.base,
            "base_model_relation": "adapter" if facts.adapter else "finetune",
        }
    return values | {"tags": ["openflan", "instruction-tuning"]}


def _summary(facts: CardFacts) -> str:
    if facts.base is None:
        start = "A model that began with random weights"
    else:
        start = last_part(facts.base).removeprefix("./") if is_local_path(facts.base) else facts.base
    how = "finetuned" if isinstance(facts.recipe, Recipe) else "pretrained further on plain text"
    kind = " This is the adapter alone; it needs its base." if facts.adapter else ""
    return f"{start}, {how} with openflan {__version__} for {facts.recipe.training.steps:,} steps.{kind}"


_PROMPTS: dict[Layout | None, str] = {
    None: "The prompt is the instruction followed by the end-of-sequence token",
    "paper": (
        "The prompt is the instruction followed by the end-of-sequence token; the answer follows. The "
        "tokenizer's chat template writes it so."
    ),
    "plain": "The answer follows the instruction directly. The tokenizer's chat template writes it so.",
    "chat": "The prompt is the instruction as the user's turn of the tokenizer's chat template.",
}


def _prompt(facts: CardFacts) -> str:
    prefix = (
        " The model was trained with attention in both directions over its inputs, which most other tools "
        "do not compute: use `openflan generate`."
        if facts.prefix
        else ""
    )
    if facts.seq2seq:
        added = ", which the tokenizer adds" if facts.adds_eos else "; the tokenizer does not add it"
        return f"{_PROMPTS[None]}{added}."
    return _PROMPTS[facts.layout or "plain"] + prefix


def _code(facts: CardFacts) -> str:
    auto = "AutoModelForSeq2SeqLM" if facts.seq2seq else "AutoModelForCausalLM"
    peft = f"AutoPeftModelFor{'Seq2SeqLM' if facts.seq2seq else 'CausalLM'}"
    name = json.dumps(facts.repository)
    imports = (
        f"from peft import {peft}\nfrom transformers import AutoTokenizer\n\n"
        if facts.adapter
        else f"from transformers import {auto}, AutoTokenizer\n\n"
    )
    load = (
        f"tokenizer = AutoTokenizer.from_pretrained({name})\n"
        f"model = {peft if facts.adapter else auto}.from_pretrained({name})\n"
    )
    if facts.seq2seq:
        add = "" if facts.adds_eos else " + tokenizer.eos_token"
        return (
            imports
            + load
            + (
                f'prompt = tokenizer("Is the sky green?"{add}, return_tensors="pt")\n'
                "answer = model.generate(**prompt, max_new_tokens=128)[0]\n"
                "print(tokenizer.decode(answer, skip_special_tokens=True))\n"
            )
        )
    return (
        imports
        + load
        + (
            'turns = [{"role": "user", "content": "Is the sky green?"}]\n'
            "prompt = tokenizer.apply_chat_template(\n"
            '    turns, add_generation_prompt=True, return_tensors="pt", return_dict=True\n'
            ")\n"
            'answer = model.generate(**prompt, max_new_tokens=128)[0, prompt["input_ids"].shape[1] :]\n'
            "print(tokenizer.decode(answer, skip_special_tokens=True))\n"
        )
    )


def _training(recipe: AnyRecipe) -> str:
    settings = recipe.training
    lines = [
        "`recipe.yaml` beside this card has every setting; its paths are those of the machine that trained, "
        "cut to their last part.",
        "",
        "| setting | value |",
        "| --- | --- |",
        f"| steps | {settings.steps:,} |",
        f"| packed sequences per step | {settings.batch_size:,} |",
        f"| tokens of a sequence (inputs, targets) | {recipe.packing.inputs:,}, {recipe.packing.targets:,} |",
        f"| optimizer, learning rate, schedule | {settings.optimizer}, {settings.learning_rate:g}, "
        f"{settings.schedule} |",
    ]
    if isinstance(recipe, Recipe):
        submixtures = ", ".join(recipe.mixture.submixtures)
        lines.append(f"| submixtures | {_cell(submixtures)} |")
    return "\n".join(lines)


def _scores(scores: Sequence[EvaluationScore]) -> str:
    if not scores:
        return "None was measured."
    lines = [
        "In percent, with the 95 % interval where it is known; `scores.json` has the tasks and the options.",
        "",
        "| model | benchmark | average | 95 % interval | questions |",
        "| --- | --- | --- | --- | --- |",
    ]
    for score in scores:
        interval = score.intervals.get("average")
        average = "" if score.average is None else f"{score.average:.1f}"
        ends = "" if interval is None else f"{interval.ci95[0]:.1f} to {interval.ci95[1]:.1f}"
        count = "" if interval is None else f"{interval.n:,}"
        partial = " (some questions are missing)" if score.partial else ""
        model = last_part(score.key.model) if is_local_path(score.key.model) else score.key.model
        lines.append(f"| {_cell(model)} | {_cell(score.named)}{partial} | {average} | {ends} | {count} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
