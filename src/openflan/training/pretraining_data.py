"""From a recipe of continued pretraining to what its training reads: the tokenizer with its new tokens, the
plan, and held-back documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from openflan.errors import InputError
from openflan.models.vocabulary import add_tokens
from openflan.objectives.denoisers import MODE_TOKENS, OBJECTIVES, Denoiser, with_shares
from openflan.objectives.document_windows import (
    Documents,
    DocumentSetting,
    DocumentStream,
    DocumentWindows,
    Texts,
    split_documents,
)
from openflan.objectives.pieces import fits, longest, missing_tokens, needed_sentinels, special_tokens_of
from openflan.packing.encode import Limits
from openflan.packing.tokens import Tokenize
from openflan.recipe.pretraining import MIXTURES, Pretraining, PretrainRecipe
from openflan.tasks.digest import digest_of
from openflan.tasks.texts import open_texts

_LOOKED_AT = 16
"""Documents that are read, evenly spaced, where the bytes behind all of them are hashed."""


@dataclass(frozen=True, slots=True)
class PretrainingData:
    """A recipe's documents, and all that training needs to read them; `added` are the tokens that its
    tokenizer lacked."""

    texts: Texts
    training: Documents
    held_back: Documents | None
    tokenize: Tokenize
    setting: DocumentSetting
    window: int
    added: tuple[str, ...]

    def stream(self, sequences_per_window: Sequence[int] = ()) -> DocumentStream:
        """The packed sequences to train on. `sequences_per_window` is what `index` gave in an earlier run."""
        windows = DocumentWindows(self.training, self.tokenize, self.setting, self.window)
        return windows.stream(sequences_per_window)

    def validation(self) -> DocumentStream | None:
        """The held-back documents, all of them in the first window; None if there are none."""
        if self.held_back is None:
            return None
        # Their own seed: the loss of two runs is then comparable, whatever the seed of their recipes.
        setting = replace(self.setting, seed=0)
        return DocumentWindows(self.held_back, self.tokenize, setting, self.held_back.count).stream()


def prepare_documents(recipe: PretrainRecipe, tokenizer: Any, *, joint: bool) -> PretrainingData:
    """Opens the data and adds to `tokenizer` what the objective needs. `joint`: for a causal model.

    Raises InputError for data that cannot be read, too little of it, or pieces that do not fit a sequence.
    """
    section, packing = recipe.pretraining, recipe.packing
    if packing.layout != "paper":
        raise InputError(f"packing.layout: {packing.layout} is for finetuning; leave it out")
    texts = open_texts(section.data, section.field, section.documents, section.salient_field)
    training, held_back = split_documents(
        texts, recipe.validation.documents if recipe.validation else 0, recipe.seed
    )
    tokenize = Tokenize(tokenizer)
    denoisers, limits = denoisers_of(section), Limits(packing.inputs, packing.targets, joint)
    modes = MODE_TOKENS if section.mode_tokens is None else section.mode_tokens
    modes = {
        mode: token for mode, token in modes.items() if any(denoiser.mode == mode for denoiser in denoisers)
    }
    # Mode tokens count within the limits, whatever their ids will be.
    special_tokens = replace(special_tokens_of(tokenizer, {}, 0), modes=dict.fromkeys(modes, 0))
    lengths = {
        denoiser: section.length or longest([denoiser], special_tokens, limits) for denoiser in denoisers
    }
    if section.length is not None and not fits(section.length, denoisers, special_tokens, limits):
        raise InputError(
            f"pretraining.length: pieces of {section.length:,} tokens may not fit {packing.inputs:,} "
            f"input and {packing.targets:,} target tokens; "
            f"the longest that always do have {longest(denoisers, special_tokens, limits):,}"
        )
    sentinels = needed_sentinels(lengths)
    added = missing_tokens(tokenizer, modes, sentinels)
    add_tokens(tokenizer, added)
    setting = DocumentSetting(
        lengths,
        special_tokens_of(tokenizer, modes, sentinels),
        limits,
        recipe.seed,
        section.pieces == "joined",
        section.salient or 0.0,
    )
    return PretrainingData(texts, training, held_back, tokenize, setting, section.window, tuple(added))


def denoisers_of(section: Pretraining) -> tuple[Denoiser, ...]:
    """The denoisers of a recipe, with the shares or spans that it states. Raises InputError for shares that
    are none."""
    denoisers = OBJECTIVES[section.objective]
    if section.objective in MIXTURES:
        return denoisers if section.shares is None else with_shares(denoisers, section.shares)
    if section.objective != "span-corruption":
        return denoisers
    (spans,) = denoisers
    mean, rate = section.mean_span or spans.mean, section.corruption_rate or spans.rate or 0.0
    return (replace(spans, mean=mean, rate=rate, name=f"spans of {mean:g}, {rate:.0%}".replace("%", " %")),)


def texts_fingerprint(texts: Texts) -> str:
    """A hash of all documents: of the files they lie in and a few of them, which shows a reader that has
    changed, or else of each one."""
    count, known = len(texts), digest_of(texts)
    digest = hashlib.sha256(str(count).encode() + (known or b""))
    for number in range(0, count, 1 if known is None else -(-count // _LOOKED_AT)):
        digest.update(texts[number].encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
