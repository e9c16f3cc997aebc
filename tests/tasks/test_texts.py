"""Documents of every kind of file, by number."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.texts import Texts, open_texts


def listed(texts: Texts) -> list[str]:
    return [texts[number] for number in range(len(texts))]


def test_a_text_file_holds_lines_paragraphs_or_one_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\n \nthree\u2028still three\n\n", encoding="utf-8")
    assert listed(open_texts([path])) == ["one", "two", "", " ", "three\u2028still three", ""]
    assert listed(open_texts([path], unit="paragraph")) == ["one\ntwo", "three\u2028still three"]
    assert listed(open_texts([path], unit="file")) == ["one\ntwo\n\n \nthree\u2028still three\n"]
    assert open_texts([path], unit="paragraph").place(1) == f"{path}:5"


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff")).filter(str.strip),
            min_size=1,
        ),
        min_size=1,
    ),
    st.integers(1, 3),
)
def test_paragraphs_come_back_whole(
    tmp_path_factory: pytest.TempPathFactory, paragraphs: list[list[str]], blank: int
) -> None:
    path = tmp_path_factory.mktemp("texts") / "a.txt"
    path.write_text(("\n" * (blank + 1)).join("\n".join(lines) for lines in paragraphs), encoding="utf-8")
    assert listed(open_texts([path], unit="paragraph")) == ["\n".join(lines) for lines in paragraphs]


def test_rows_of_jsonl_and_parquet_and_folders_of_all_kinds(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": text, "id": 3}) + "\n" for text in ("one", "two\nlines", ""))
    )
    (tmp_path / "below" / "c.txt").write_text("last\n")
    (tmp_path / "README.md").write_text("not read\n")
    pq.write_table(pa.table({"id": [1, 2], "text": ["three", "four"]}), tmp_path / "b.parquet")
    texts = open_texts([tmp_path])
    assert listed(texts) == ["one", "two\nlines", "", "three", "four", "last"]
    assert [texts.place(number) for number in (1, 4, 5)] == [
        f"{tmp_path / 'a.jsonl'}:2",
        f"{tmp_path / 'b.parquet'}, row 1",
        f"{tmp_path / 'below' / 'c.txt'}:1",
    ]
    assert listed(open_texts([tmp_path / "b.parquet", tmp_path / "a.jsonl"]))[:3] == ["three", "four", "one"]
    with pytest.raises(IndexError):
        texts[6]


def test_another_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"content": "one"}\n{"content": 3}\n{"other": "x"}\n')
    texts = open_texts([path], "content")
    assert texts[0] == "one"
    for row_index, message in ((1, "`content` is no text"), (2, "`content` is missing")):
        with pytest.raises(InputError, match=f"a.jsonl:{row_index + 1}: {message}; expected a document"):
            texts[row_index]
    with pytest.raises(
        InputError,
        match=(
            r"a.jsonl:1: no field `contents`; did you mean `content`\?; set "
            r"`pretraining.field`"
        ),
    ):
        open_texts([path], "contents")
    pq.write_table(pa.table({"content": ["x"], "n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="b.parquet, row 0: no field `text`"):
        open_texts([tmp_path / "b.parquet"])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder; expected .txt, .jsonl"):
        open_texts([tmp_path / "none"])
    with pytest.raises(InputError, match="no .txt, .jsonl, .parquet, .arrow file in it"):
        open_texts([tmp_path])
    (tmp_path / "a.csv").write_text("x\n")
    with pytest.raises(InputError, match="a.csv: not a file of documents"):
        open_texts([tmp_path / "a.csv"])
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(InputError, match="blank.txt: holds blank lines only"):
        open_texts([tmp_path / "blank.txt"], unit="paragraph")
