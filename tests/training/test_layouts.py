"""A layout from the recipe to the exported model, and to the engine that asks it."""

from pathlib import Path

import pytest
from small_runs import furnish, recipe
from transformers import AutoTokenizer

from openflan.errors import InputError
from openflan.inference.huggingface import HuggingFaceEngine
from openflan.packing.special_tokens import Layout
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training.finetune import finetune

CHAT = (
    "{% for message in messages %}<s> {{ message['content'] }} </s> {% endfor %}{% if "
    "add_generation_prompt %}<s> {% endif %}"
)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `place`, whose tokenizer has a chat template."""
    folder = furnish(tmp_path_factory.mktemp("talking"))
    tokenizer = AutoTokenizer.from_pretrained(folder / "words")
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder / "words")
    return folder


def laid_out(place: Path, kind: str, layout: Layout) -> Recipe:
    run_recipe = recipe(place, kind, steps=2)
    return run_recipe.model_copy(update={"packing": run_recipe.packing.model_copy(update={"layout": layout})})


@pytest.mark.parametrize(
    ("layout", "prompt"), [("paper", [4, 6, 1]), ("plain", [4, 6]), ("chat", [2, 4, 6, 1, 2])]
)
def test_the_engine_sends_what_the_model_was_finetuned_with(
    layout: Layout, prompt: list[int], talking: Path, tmp_path: Path
) -> None:
    """`copy a` is 4, 6; EOS is 1, BOS 2, which the chat template puts before every turn."""
    run = Run(tmp_path / "run")
    finetune(laid_out(talking, "llama", layout), run, label="")
    trainer = HuggingFaceEngine.load(run.model)
    assert trainer.ids("copy a") == prompt
    template = AutoTokenizer.from_pretrained(run.model).chat_template
    assert (template == CHAT) == (layout == "chat")


def test_an_encoder_decoder_has_one_layout(talking: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="packing.layout: plain is for causal models"):
        finetune(laid_out(talking, "t5", "plain"), Run(tmp_path / "run"), label="")


def test_chat_needs_a_template(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`packing.layout: chat` needs a chat template"):
        finetune(laid_out(place, "llama", "chat"), Run(tmp_path / "run"), label="")
