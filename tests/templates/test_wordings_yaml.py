"""Wordings as YAML: they read back as they were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.templates.dump import dump_wordings
from openflan.templates.formats import Frame
from openflan.templates.pattern import Pattern
from openflan.templates.wording import Wording, WordingSet, load_wordings

# Wordings as YAML

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        " x",
        "x ",
        "\nx",
        "x\n",
        "a\n\n b\n",
        "# no",
        "- a",
        "yes",
        "1.5",
        "'",
        '"',
        ":",
        "a: b",
        "a\tb",
        "a\u2028b",
        "a\x85b",
        "\ufeff",
        "\\n",
        "| x\n y",
        "\x00",
    ]
)


@given(
    before=texts, after=texts, closing=texts, labels=st.tuples(texts, texts), between=texts, separator=texts
)
def test_wordings_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    before: str,
    after: str,
    closing: str,
    labels: tuple[str, str],
    between: str,
    separator: str,
) -> None:
    def pattern(start: str, name: str, end: str) -> Pattern:
        return Pattern.parse(
            start.replace("{", "{{").replace("}", "}}")
            + "{"
            + name
            + "}"
            + end.replace("{", "{{").replace("}", "}}")
        )

    wording = Wording(
        "one",
        pattern(before, "question", after),
        pattern("", "answer", closing),
        shots="few",
        frame=Frame(labels, between, separator),
    )
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(
        dump_wordings(WordingSet(("a/*",), frozenset({"question", "answer"}), (wording,))),
        encoding="utf-8",
        newline="",
    )
    ((loaded,),) = ([one.wordings for one in load_wordings(path)],)
    assert (loaded[0].inputs, loaded[0].targets, loaded[0].frame) == (
        wording.inputs,
        wording.targets,
        wording.frame,
    )
