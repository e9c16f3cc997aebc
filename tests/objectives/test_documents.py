"""Documents to packed windows: every token of ten thousand documents comes back, under any tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from openflan.errors import InputError
from openflan.models.vocabulary import add_tokens
from openflan.objectives.denoisers import MODE_TOKENS, OBJECTIVES
from openflan.objectives.document_windows import (
    Documents,
    DocumentSetting,
    DocumentWindow,
    DocumentWindows,
    split_documents,
)
from openflan.objectives.pieces import (
    SpecialTokens,
    longest,
    missing_tokens,
    needed_sentinels,
    special_tokens_of,
)
from openflan.packing.encode import Encoded, Limits
from openflan.packing.tokens import Tokenize
from openflan.randomness import Draws

LIMITS = {joint: Limits(48, 40, joint) for joint in (False, True)}


class Numbered:
    """Documents at hand."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> str:
        return self.texts[index]

    def place(self, index: int) -> str:
        return f"texts:{index + 1}"


def words(size: int, *, bos: bool = False, sentinels: int = 0) -> Any:
    """A tokenizer of `size` words w0, w1, ...; with `sentinels`, it has them, and finds them in text, as T5's
    does."""
    vocabulary = {"</s>": 0, "<unk>": 1, "<s>": 2} | {f"w{number}": number + 3 for number in range(size)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", unk_token="<unk>", **({"bos_token": "<s>"} if bos else {})
    )
    if bos:
        from tokenizers.processors import TemplateProcessing

        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 2)]
        )
    add_tokens(tokenizer, [f"<extra_id_{number}>" for number in reversed(range(sentinels))])
    return tokenizer


def setting_of(
    tokenizer: Any,
    objective: str,
    *,
    joint: bool,
    length: int | None = None,
    joined: bool = False,
    seed: int = 0,
) -> tuple[Tokenize, DocumentSetting]:
    """As `training.documents` makes it, by hand."""
    tokenize, denoisers, limits = Tokenize(tokenizer), OBJECTIVES[objective], LIMITS[joint]
    modes = {mode: token for mode, token in MODE_TOKENS.items() if any(one.mode == mode for one in denoisers)}
    room = SpecialTokens(0, (0,), np.array([]), dict.fromkeys(modes, 0))
    lengths = {denoiser: length or longest([denoiser], room, limits) for denoiser in denoisers}
    needed = needed_sentinels(lengths)
    add_tokens(tokenizer, missing_tokens(tokenizer, modes, needed))
    return tokenize, DocumentSetting(
        lengths, special_tokens_of(tokenizer, modes, needed), limits, seed, joined
    )


def texts_of(count: int, size: int, *, odd: Sequence[str] = ()) -> list[str]:
    """Documents of 0 to 150 words; one in three holds one of `odd`."""
    documents = []
    for index in range(count):
        draws = Draws("texts", index)
        document = [
            f"w{draws.below(size)}" for _ in range(draws.below(151) if draws.chance(0.3) else draws.below(20))
        ]
        if odd and draws.chance(0.3):
            document.insert(draws.below(len(document) + 1), draws.choice(odd))
        documents.append(" ".join(document))
    return documents


def undone(encoded: Encoded, setting: DocumentSetting, *, ends: bool) -> list[int]:
    """The tokens of a piece, by an independent reading of its marks."""
    marks, inputs, targets = setting.special_tokens, encoded.input_ids.tolist(), encoded.target_ids.tolist()
    modes = {token: mode for mode, token in marks.modes.items()}
    if setting.limits.joint and marks.bos and inputs[: len(marks.bos)] == list(marks.bos):
        inputs = inputs[len(marks.bos) :]
    if not setting.limits.joint:
        assert inputs.pop() == marks.eos
    kinds = {denoiser.kind for denoiser in setting.denoisers}
    if modes:
        kinds = {"prefix" if modes[inputs.pop(0)] == "s" else "spans"}
    if kinds == {"spans"}:
        assert targets.pop() == marks.eos
        sentinels = marks.sentinels.tolist()
        usable = set(sentinels[sentinels.index(targets[0]) :]) if targets else set()
        spans: dict[int, list[int]] = {}
        for token in targets:
            if token in usable:
                spans[token] = []
            else:
                spans[next(reversed(spans))].append(token)
        return [inner for token in inputs for inner in spans.get(token, [token])]
    if ends:
        assert targets.pop() == marks.eos
    if setting.limits.joint and kinds == {"causal"} and not marks.bos:
        assert inputs == [marks.eos]
        inputs = []
    if setting.limits.joint and not marks.bos and inputs == [marks.eos] and len(targets) == 1 and not modes:
        inputs = []
    return inputs + targets


def rebuilt(windows: Sequence[DocumentWindow], setting: DocumentSetting) -> dict[str, list[int]]:
    """Tokens of every document of a pass, from the packed rows."""
    pieces: dict[str, dict[int, Encoded]] = {}
    for window in windows:
        for row in range(len(window)):
            inputs = targets = 0
            for index, example in zip(
                window.packed.sequence(row).tolist(), window.sequence(row), strict=True
            ):
                origin = window.origin(index)
                assert pieces.setdefault(origin.task, {}).setdefault(origin.row, example) is example, (
                    "a piece came twice"
                )
                inputs, targets = inputs + len(example.input_ids), targets + len(example.target_ids)
            assert (
                inputs + targets <= setting.limits.sequence
                if setting.limits.joint
                else inputs <= setting.limits.inputs and targets <= setting.limits.targets
            )
    return {
        task: [
            token
            for row in range(len(examples))
            for token in undone(examples[row], setting, ends=row == len(examples) - 1)
        ]
        for task, examples in pieces.items()
    }


TOKENIZERS = {
    "few words": lambda: words(4),
    "with its own sentinels": lambda: words(300, sentinels=8),
    "with BOS": lambda: words(2_000, bos=True),
    "over 65,536": lambda: words(70_000),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ten_thousand_documents_are_rebuilt_exactly(kind: str, objective: str) -> None:
    """Five hundred for each of twenty pairs of objective and tokenizer, half of them for a causal model, with
    texts that spell out marks."""
    for joint in (False, True):
        tokenizer = TOKENIZERS[kind]()
        texts = texts_of(
            250,
            4 if kind == "few words" else 300,
            odd=["<extra_id_1>", "<extra_id_0>", "[S2S]", "</s>", "<s>", "unheard"],
        )
        tokenize, setting = setting_of(tokenizer, objective, joint=joint)
        # A text that spells out a special token stays text, which `tokenizer` alone would not do.
        plain = {f"texts:{number + 1}": tokenize([text])[0].tolist() for number, text in enumerate(texts)}
        documents, _ = split_documents(Numbered(texts), 0, seed=1)
        windows = DocumentWindows(documents, tokenize, setting, size=50)
        rebuilt_documents = rebuilt([windows.make(number) for number in range(5)], setting)
        assert rebuilt_documents == {place: ids for place, ids in plain.items() if ids}


def test_a_text_that_spells_a_new_token_out_does_not_hold_it() -> None:
    tokenizer = words(20)
    tokenize, setting = setting_of(tokenizer, "ul2r", joint=True)
    added = {*setting.special_tokens.modes.values(), *setting.special_tokens.sentinels.tolist()}
    assert set(tokenizer("[S2S] <extra_id_0>")["input_ids"]) <= added, "the tokenizer now knows them"
    assert not set(tokenize(["[S2S] <extra_id_0>"])[0].tolist()) & added


def test_joined_documents_are_one_text_with_eos_between() -> None:
    tokenizer, texts = words(50), ["w1 w2 w3", "", "w4", "w5 w6 " * 20]
    tokenize, setting = setting_of(tokenizer, "prefix-lm", joint=False, joined=True, length=10)
    documents, _ = split_documents(Numbered(texts), 0, seed=0)
    window = DocumentWindows(documents, tokenize, setting, size=4).make(0)
    (token_ids,) = rebuilt([window], setting).values()
    order = [documents.number(position) for position in range(4)]
    expected = [[*tokenizer(texts[number])["input_ids"], 0] for number in order if texts[number]]
    assert token_ids == [token for document in expected for token in document][:-1]
    assert max(len(one.input_ids) + len(one.target_ids) for one in window.encoded) <= 12


def _documents(count: int = 30, held_back: int = 0, seed: int = 0) -> tuple[Documents, Documents | None]:
    return split_documents(Numbered([f"w{number}" for number in range(count)]), held_back, seed)


def test_every_pass_holds_every_document_once_in_another_order() -> None:
    documents, _ = _documents()
    passes = [
        [documents.number(position) for position in range(30 * index, 30 * index + 30)] for index in range(3)
    ]
    assert [sorted(one) for one in passes] == [list(range(30))] * 3
    assert len({tuple(one) for one in passes}) == 3
    other, _ = _documents(seed=1)
    assert [other.number(position) for position in range(30)] not in passes


def test_held_back_documents_are_never_trained_on_and_do_not_depend_on_the_seed() -> None:
    held = []
    for seed in (0, 1):
        training, validation = _documents(30, 7, seed)
        assert validation is not None
        trained = {training.number(position) for position in range(23)}
        held.append({validation.number(position) for position in range(7)})
        assert trained | held[-1] == set(range(30))
        assert not trained & held[-1]
    assert held[0] == held[1]
    with pytest.raises(InputError, match="holds back 30 documents, and there are 30"):
        _documents(30, 30)


def _windows(seed: int = 0) -> DocumentWindows:
    tokenize, setting = setting_of(words(300), "ul2r", joint=True, seed=seed)
    documents, _ = split_documents(Numbered(texts_of(60, 300)), 0, seed)
    return DocumentWindows(documents, tokenize, setting, size=20)


def _listed(rows: list[list[Encoded]]) -> list[list[tuple[list[int], list[int]]]]:
    return [[(one.input_ids.tolist(), one.target_ids.tolist()) for one in row] for row in rows]


def test_rows_depend_on_seed_and_position_only() -> None:
    expected = _listed(_windows().stream().sequences(0, 40))
    later = _windows().stream(_windows().stream().index())
    assert _listed(later.sequences(25, 15)) == expected[25:]
    assert _listed(_windows(seed=1).stream().sequences(0, 40)) != expected
    known = _windows().stream()
    known.sequences(0, 40)
    resumed = _windows().stream(known.index())
    assert _listed(resumed.sequences(30, 10)) == expected[30:]
    origins = [window.origins(number) for window, number in resumed.locate(30, 10)]
    assert [len(sequence) for sequence in origins] == [len(row) for row in expected[30:]]


def test_a_second_pass_corrupts_a_document_otherwise() -> None:
    tokenize, setting = setting_of(words(300), "span-corruption", joint=False)
    documents, _ = split_documents(Numbered([" ".join(f"w{number}" for number in range(40))]), 0, 0)
    windows = DocumentWindows(documents, tokenize, setting, size=1)
    assert len({tuple(windows.make(number).encoded[0].target_ids.tolist()) for number in range(8)}) > 1


def test_counts_say_what_a_window_holds() -> None:
    tokenizer, texts = words(300), [*texts_of(50, 300), ""]
    tokenize, setting = setting_of(tokenizer, "ul2r", joint=True)
    documents, _ = split_documents(Numbered(texts), 0, 0)
    window = DocumentWindows(documents, tokenize, setting, size=51).make(0)
    counts = window.counts()
    assert counts["documents"] == 51
    assert counts["empty documents"] == sum(not text for text in texts) > 0
    assert counts["tokens"] == sum(len(text.split()) for text in texts)
    pieces = Counter(
        {
            name.removeprefix("pieces: "): count
            for name, count in counts.items()
            if name.startswith("pieces: ")
        }
    )
    assert pieces.total() == len(window.encoded)
    assert set(pieces) <= {denoiser.name for denoiser in setting.denoisers}


def test_a_window_of_nothing_is_refused() -> None:
    tokenize, setting = setting_of(words(3), "prefix-lm", joint=False)
    documents, _ = split_documents(Numbered(["", " "]), 0, 0)
    with pytest.raises(InputError, match=r"texts:\d and the 1 documents drawn after it hold no token"):
        DocumentWindows(documents, tokenize, setting, size=2).make(0)


def test_the_shares_of_a_long_run_are_those_of_the_mixture() -> None:
    tokenize, setting = setting_of(words(300), "ul2", joint=False)
    documents, _ = split_documents(Numbered(texts_of(400, 300)), 0, 0)
    windows = DocumentWindows(documents, tokenize, setting, size=400)
    counts = sum((windows.make(number).counts() for number in range(6)), Counter[str]())
    pieces = {denoiser: counts[f"pieces: {denoiser.name}"] for denoiser in setting.denoisers}
    total = sum(pieces.values())
    assert total > 2_000
    assert {denoiser.name: count / total for denoiser, count in pieces.items()} == {
        item.name: pytest.approx(item.share, abs=0.03) for item in pieces
    }
