"""What is planted is found, in any dress; what is not there is not found, by an oracle that knows no
hashes."""

from __future__ import annotations

import json
import os
import tracemalloc
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_benchmarks import BBH, GSM8K, MGSM, MMLU, MMLU_OPTIONS, PASSAGE, TYDIQA, write_benchmarks

from openflan.benchmark_data.items import Item, benchmark_items
from openflan.mixture.overlap import index as index_module
from openflan.mixture.overlap.index import LEAST_LETTERS, STOCK, STOCK_QUESTIONS, Index, build_index
from openflan.mixture.overlap.report import check_task
from openflan.mixture.overlap.scan import BATCH, Hit, scan
from openflan.mixture.overlap.units import HAN_KANA, LENGTHS, UNSPACED, WORD, split
from openflan.tasks.task import Row, Task

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    return build_index(benchmark_items(folder))


def hits(index: Index, *rows: Row) -> list[Hit]:
    return [hit for _, found in scan(enumerate(rows), index) for hit in found]


def words(text: str) -> list[str]:
    """Units as text, as the index sees them."""
    units = split([text])
    return [units.text(number, number + 1) for number in range(len(units.hashes))]


ITEMS = {
    "bbh": BBH[0],
    "mmlu": MMLU[0],
    "mmlu (short)": MMLU[1],
    "mmlu options": MMLU_OPTIONS[0],
    **{f"mgsm ({language})": text for language, text in MGSM.items()},
    "gsm8k": GSM8K[0],
    "tydiqa": TYDIQA["english"][0],
    "tydiqa (finnish)": TYDIQA["finnish"][0],
    "tydiqa passages": PASSAGE,
}

FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
LATER = "Once upon a time a clerk wrote down what follows."

DRESSES: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "upper case": str.upper,
    "other case": str.swapcase,
    "other punctuation": lambda text: text.replace(", ", " -- ").translate(
        {ord("."): " !", ord("?"): "...", ord(";"): " /", ord("，"): "、"}
    ),
    "without punctuation": lambda text: "".join(mark for mark in text if mark not in ",.;:?()'，？"),
    "other blanks": lambda text: text.replace(" ", "\u00a0\n  "),
    "curly apostrophes": lambda text: text.replace("'", "\u2019"),
    "full width": lambda text: text.translate(FULL_WIDTH),
    "inside a longer text": lambda text: f"{LATER} {text} {LATER}",
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("name", ITEMS)
def test_a_planted_item_is_found(name: str, dress: str, index: Index) -> None:
    rows: list[Row] = [
        {"question": LATER},
        {"question": DRESSES[dress](ITEMS[name]), "answer": "7"},
        {"inputs": "none", "targets": "none"},
    ]
    hits_of_row = hits(index, *rows)
    assert [(hit.row, hit.item.text, hit.item.group) for hit in hits_of_row] == [
        (1, ITEMS[name], name.partition(" (")[0])
    ]
    assert hits_of_row[0].kind == ("contains" if dress == "inside a longer text" else "equal")


@pytest.mark.parametrize("field", ["question", "options", "answer", "rationale", "inputs", "targets"])
def test_every_field_of_a_row_is_compared(field: str, index: Index) -> None:
    row: Row = {"question": "so?", field: ["one", GSM8K[0]] if field == "options" else GSM8K[0]}
    (hit,) = hits(index, row)
    assert (hit.field, hit.item.benchmark) == (field, "gsm8k")


def test_what_surrounds_the_fields_is_not_compared(index: Index) -> None:
    """A definition is the same for every row of a task, and wording is not part of a row."""
    assert hits(index, {"definition": GSM8K[0], "question": "so?", "positive_input": PASSAGE}) == []


@pytest.mark.parametrize("name", [name for name, text in ITEMS.items() if len(text) > 60])
def test_one_unit_short_of_an_ngram_is_not_found(name: str, index: Index) -> None:
    units = split([ITEMS[name]])
    length = LENGTHS[int(units.kinds.max())]
    for first in range(len(units.hashes) - length + 1):
        slice_ = units.text(first, first + length)
        shorter = units.text(first, first + length - 1)
        assert [hit.item.text for hit in hits(index, {"question": f"{slice_} {LATER}"})] == [ITEMS[name]]
        assert hits(index, {"question": f"{shorter} {LATER}"}) == []


def test_a_short_question_counts_only_as_a_whole(index: Index) -> None:
    asked = words(MMLU[1])
    assert len(asked) < 13
    assert hits(index, {"question": " ".join(asked[1:])}) == []
    assert hits(index, {"question": " ".join(asked[:-1])}) == []
    assert [hit.kind for hit in hits(index, {"rationale": f"so {' '.join(asked)} indeed"})] == ["contains"]


def test_a_very_short_question_counts_only_as_a_whole_text_that_asks(index: Index) -> None:
    tiny = TYDIQA["english"][1]
    assert sum(map(str.isalpha, tiny)) < LEAST_LETTERS
    assert [hit.kind for hit in hits(index, {"question": tiny.upper()})] == ["equal"]
    assert hits(index, {"question": f"{tiny} Here."}, {"answer": tiny}) == []


def test_nothing_reaches_over_the_end_of_a_field_or_row(index: Index) -> None:
    cut = GSM8K[0].split()
    first, second = " ".join(cut[:12]), " ".join(cut[12:24])
    assert hits(index, {"question": first, "answer": second}, {"question": second}) == []
    assert len(hits(index, {"question": f"{first} {second}"})) == 1


def test_unrelated_rows_have_no_hits_and_the_same_rows_do_with_their_own_index(index: Index) -> None:
    rows: list[Row] = [
        {
            "question": (
                f"Count {position} herons on the long grey jetty beside the mill and say how many remain at "
                "dusk."
            )
        }
        for position in range(50)
    ]
    assert hits(index, *rows) == []
    assert (
        len({hit.row for hit in hits(build_index([Item("own", "x", 3, str(rows[3]["question"]))]), *rows)})
        == 50
    )


def test_the_longest_shared_stretch_is_shown(index: Index) -> None:
    start = GSM8K[0].rindex("sells")
    (hit,) = hits(index, {"question": f"He {GSM8K[0][:start]}then cries."})
    assert hit.kind == "n-gram"
    assert hit.span == GSM8K[0][:start].lower().removesuffix(", and ") + ", and"
    assert hit.units == len(words(GSM8K[0][:start]))


def test_phrases_of_many_items_are_stock_and_say_nothing_of_one() -> None:
    frame = "If you follow these steps in order from the gate, do you come back to the gate at the end?"
    items = [
        Item(
            "own",
            "walks",
            position,
            f"{frame} Take {position} steps north and {position * 7} steps along the old mossy wall.",
        )
        for position in range(STOCK + 1)
    ]
    index = build_index(items)
    (stock,) = hits(index, {"question": f"Well. {frame} Yes."})
    assert (stock.kind, stock.item.index) == ("stock", 0)
    assert [(hit.kind, hit.item.index) for hit in hits(index, {"question": items[4].text})] == [
        ("stock", 0),
        ("equal", 4),
    ]
    assert [(hit.kind, hit.item.index) for hit in hits(index, {"question": items[0].text})] == [("equal", 0)]
    (rare,) = hits(build_index(items[:1]), {"question": f"Well. {frame} Yes."})
    assert rare.kind == "n-gram", "the same phrase tells, where it is rare"


def test_a_phrase_that_one_item_repeats_is_no_stock() -> None:
    phrase = "the herons come home over the mill and the herons fly off again by day"
    index = build_index([Item("own", "x", 0, f"{phrase}. " * (STOCK + 2))])
    assert {hit.kind for hit in hits(index, {"question": phrase})} == {"n-gram"}


def test_each_ngram_is_kept_once_at_its_length() -> None:
    text = f"{GSM8K[0]} {LATER} {PASSAGE}"
    count = len(text.split())
    assert count > max(LENGTHS.values())
    assert build_index([Item("own", "x", 0, text)] * 2).ngrams == count - 12
    signs = "一二三四五六七八九十百千万年月日山川田人口手足目耳木水火土金石竹米"
    assert build_index([Item("own", "x", 0, signs)]).ngrams == len(signs) - 23


def test_a_short_question_asked_in_many_places_is_stock() -> None:
    items = [
        Item("own", f"file{index}", 0, "Which of these sayings is true?")
        for index in range(STOCK_QUESTIONS + 1)
    ]
    row: Row = {"question": "Two birds. Which of these sayings is true?"}
    assert [hit.kind for hit in hits(build_index(items), row)] == ["stock"]
    assert [hit.kind for hit in hits(build_index(items[:-1]), row)] == ["contains"] * STOCK_QUESTIONS


# Words whose capitals are still the same word: those of a dotless i are not.
WORDS = st.text(
    st.characters(categories=["Lu", "Ll", "Lo"], max_codepoint=0x6FF), min_size=1, max_size=6
).filter(lambda word: word.upper().casefold() == word.casefold())


@settings(deadline=None, max_examples=60)
@given(
    item=st.lists(WORDS, min_size=13, max_size=40),
    before=st.lists(WORDS, max_size=30),
    after=st.lists(WORDS, max_size=30),
    first=st.integers(0, 40),
    mark=st.sampled_from([" ", "  ", ", ", "\n", " - ", "... "]),
)
def test_any_slice_of_13_words_is_found_in_any_text(
    item: list[str], before: list[str], after: list[str], first: int, mark: str
) -> None:
    first = min(first, len(item) - 13)
    index = build_index([Item("own", "x", 0, " ".join(item))])
    planted = mark.join([*before, *(word.upper() for word in item[first : first + 13]), *after])
    assert [hit.item.index for hit in hits(index, {"inputs": planted})] == [0]


@settings(deadline=None, max_examples=150)
@given(
    items=st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=18), min_size=1, max_size=3),
    rows=st.lists(st.text("ab ", max_size=60), max_size=6),
)
def test_hits_are_those_of_a_plain_comparison(items: list[list[str]], rows: list[str]) -> None:
    """The oracle compares lists of words, on texts of two words, where nearly everything repeats. Words have
    eight letters, as short ones tell nothing."""
    index = build_index(
        [Item("own", "x", number, " ".join(word * 8 for word in text)) for number, text in enumerate(items)]
    )
    texts = [[letter * 8 for letter in row.replace(" ", "")] for row in rows]
    matches = {
        (hit.row, hit.item.index)
        for hit in hits(index, *({"question": " ".join(text)} for text in texts))
        if hit.kind != "stock"
    }

    def inside(part: list[str], text: list[str]) -> bool:
        return any(text[place : place + len(part)] == part for place in range(len(text) - len(part) + 1))

    def shares(item: list[str], text: list[str]) -> bool:
        if len(item) >= 13:
            return any(inside(item[place : place + 13], text) for place in range(len(item) - 12))
        return inside(item, text) if len(item) >= 3 else item == text

    asked = Counter(map(tuple, items))
    expected = {
        (row, position)
        for row, text in enumerate(texts)
        for position, item in enumerate([[letter * 8 for letter in item] for item in items])
        if shares(item, text) and (len(item) >= 13 or asked[tuple(items[position])] <= STOCK_QUESTIONS)
    }
    assert matches == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It's 2,125 m", "its 2125 M."),
        ("STRASSE", "straße"),
        ("ﬁve ①", "Five 1"),
        ("১২৫ ٣٤ ＡＢＣ１２", "125 34 abc12"),
        ("well-known/old_name", "well known, old name"),
        ("cafe\u0301", "café"),
        ("na\u00adive zero\u200bwidth", "naive zerowidth"),
        ("ｱｲｳ", "アイウ"),
    ],
)
def test_texts_that_count_as_the_same(first: str, second: str) -> None:
    units = split([first, second])
    assert np.array_equal(*np.split(units.hashes, [units.starts[1]]))
    assert units.starts[1] > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2,12", "212"),
        ("1,2345", "12345"),
        ("3.5", "35"),
        ("abc", "acb"),
        ("a b", "ab"),
        ("কত", "কতা"),
        ("1", "2"),
    ],
)
def test_texts_that_count_as_different(first: str, second: str) -> None:
    units = split([first, second])
    assert not np.array_equal(*np.split(units.hashes, [units.starts[1]]))


def test_units_are_words_or_characters_of_scripts_without_spaces() -> None:
    assert words("Hello, wörld! 3 কেমন আছেন") == ["hello", "wörld", "3", "কেমন", "আছেন"]
    assert words("买了5kg苹果") == ["买", "了", "5kg", "苹", "果"]
    assert split(["a 买 ไ ๓"]).kinds.tolist() == [WORD, HAN_KANA, UNSPACED, WORD]
    assert words("안녕 세계") == ["안녕", "세계"]
    assert words("--- ... \u2028") == []


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=5))
def test_any_text_can_be_split_and_texts_do_not_touch(texts: list[str]) -> None:
    together = split(texts)
    alone = [split([text]) for text in texts]
    assert len(together.starts) == len(texts) + 1
    assert together.hashes.tolist() == [value for units in alone for value in units.hashes.tolist()]
    assert np.diff(together.starts).tolist() == [len(units.hashes) for units in alone]
    for index in range(len(together.hashes)):
        assert together.text(index, index + 1).strip()


def test_hits_do_not_depend_on_where_batches_and_pieces_end(
    folder: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = [
        {"question": f"{position} {text} {position}"}
        for position, text in enumerate([*ITEMS.values(), LATER] * 3)
    ]
    expected = hits(index, *rows)
    assert len({hit.row for hit in expected}) == 3 * len(ITEMS)
    monkeypatch.setattr("openflan.mixture.overlap.scan.BATCH", 100)
    monkeypatch.setattr(index_module, "_AT_A_TIME", 2)
    small = build_index(benchmark_items(folder))
    assert small.ngrams == index.ngrams
    assert hits(small, *rows) == expected
    assert sum(count for count, _ in scan(enumerate(rows), small)) == len(rows)


def test_memory_does_not_grow_with_the_rows(index: Index) -> None:
    def rows(batches: int) -> Iterator[tuple[int, Row]]:
        text = "the quick grey heron stood on one leg and looked at the mill " * 80
        return (
            (position, {"inputs": f"{position} {text}", "targets": "x"})
            for position in range(batches * BATCH // len(text))
        )

    def peak(batches: int) -> int:
        tracemalloc.start()
        for _ in scan(rows(batches), index):
            pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak_bytes

    peak(2)  # tables that are made once
    peak_of_two, peak_of_twelve = peak(2), peak(12)
    assert peak_of_twelve < 1.2 * peak_of_two
    assert peak_of_two < 80 * BATCH, "about 40 bytes a character"


def test_a_task_is_counted_with_its_strongest_examples(index: Index) -> None:
    rows: list[Row] = [
        {"question": LATER, "answer": "x"},
        {"question": MMLU[0][:-20], "answer": "x"},
        {"question": MMLU[0], "answer": MMLU[1]},
        {"question": f"{MMLU[0]} {MMLU_OPTIONS[0]}", "answer": "x"},
    ]
    written: list[dict[str, object]] = []
    passed: list[int] = []
    overlap = check_task(
        Task("own/quiz", rows, frozenset(rows[0]), "x", "y"),
        index,
        examples=2,
        write=written.append,
        passed=passed.append,
    )
    assert (overlap.task, overlap.rows, overlap.hit_rows, overlap.stock_rows) == ("own/quiz", 4, 3, 0)
    assert {name: (one.rows, one.items, one.whole) for name, one in overlap.groups.items()} == {
        "mmlu": (3, 2, 2),
        "mmlu options": (1, 1, 1),
    }
    assert [
        (item.hit.item.group, item.hit.item.index, item.hit.row, item.hit.kind) for item in overlap.examples
    ] == [
        ("mmlu", 0, 2, "equal"),
        ("mmlu", 1, 2, "equal"),
        ("mmlu options", 0, 3, "contains"),
    ]
    assert [one.text for one in overlap.examples] == [MMLU[0], MMLU[1], rows[3]["question"]]
    assert sum(passed) == 4
    assert {
        (item["row"], item["benchmark"], item["benchmark_task"], item["index"], item["part"], item["kind"])
        for item in written
    } == {
        (1, "mmlu", "zoology_test", 0, "question", "n-gram"),
        (2, "mmlu", "zoology_test", 0, "question", "equal"),
        (2, "mmlu", "zoology_test", 1, "question", "equal"),
        (3, "mmlu", "zoology_test", 0, "question", "contains"),
        (3, "mmlu", "zoology_test", 0, "option", "contains"),
    }
    assert json.loads(json.dumps(overlap.described()))["examples"][0]["item"] == MMLU[0]


@pytest.mark.skipif(not (SHARED / "bbh").is_dir(), reason=f"no benchmark files in {SHARED}")
def test_every_question_of_the_real_benchmarks_is_found() -> None:
    """As rows, all of them, against their own index; the counts are those that the benchmarks publish."""
    items = list(benchmark_items(SHARED))
    sizes = Counter(item.benchmark for item in items if item.part == "question")
    assert sizes == {
        "bbh": 6_511,
        "mmlu": 285 + 1_531 + 14_042,
        "mgsm": 2_750,
        "gsm8k": 1_319,
        "tydiqa": 5_077,
    }
    index = build_index(items)
    assert index.nbytes < 100e6
    asked = [item for item in items if item.part == "question"][::9]
    rows: list[Row] = [{"question": item.text} for item in asked]
    hit_rows = {hit.row for hit in hits(index, *rows)}
    assert hit_rows == {number for number, item in enumerate(asked) if words(item.text)}
