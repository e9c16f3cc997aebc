"""Models that come with openflan, by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.microflan.world import microflan_tasks, plain_sentences
from openflan.models.folder import bundled_model_folder, has_tokenizer, model_folder
from openflan.models.load_model import tokenizer_of

BASE = "embedded:microflan-base"


def test_a_bundled_name_is_a_folder_of_the_package() -> None:
    folder = bundled_model_folder(BASE)
    assert folder is not None
    assert folder.is_dir()
    assert has_tokenizer(folder)


@pytest.mark.parametrize(
    "name", ["google/t5-small-lm-adapt", "microflan-base", "runs/embedded:microflan-base"]
)
def test_other_names_are_left_to_others(name: str) -> None:
    assert bundled_model_folder(name) is None


@pytest.mark.parametrize(
    "name", ["embedded:microflan-bass", "embedded:none", "embedded:", "embedded:../recipes", "embedded:."]
)
@pytest.mark.parametrize("load", [bundled_model_folder, model_folder, tokenizer_of])
def test_an_unknown_name_is_answered_with_the_nearest(
    name: str, load: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError,
        match=(
            rf"^{re.escape(name)}: no such model comes with openflan; (did you mean `{BASE}`\?|there is "
            rf"{BASE})"
        ),
    ):
        load(name)  # type: ignore[operator]


def test_the_bundled_tokenizer_has_tokens_for_the_whole_world() -> None:
    """Every sentence and answer comes back as it was, and words are few tokens."""
    tokenizer = tokenizer_of(BASE)
    texts = list(plain_sentences(0))[::40]
    texts += [
        str(row[field])
        for task in microflan_tasks(0).values()
        for row in [task.rows[0]]
        for field in ("question", "answer")
    ]
    tokens = 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens += len(ids)
        assert tokenizer.unk_token_id not in ids, text
        assert tokenizer.decode(ids).strip() == text
    assert tokens / sum(len(text.split()) for text in texts) < 2
