"""Hostile and broken YAML at every reader: one line that names file and line, after little work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import openflan
from openflan import yaml_files
from openflan.errors import InputError
from openflan.evaluation.custom_schema import read_custom_benchmark
from openflan.evaluation.gsm8k_exemplars import gsm8k_exemplars
from openflan.recipe.chain_steps import load_chain
from openflan.recipe.load_recipe import load_recipe
from openflan.studies.load_study import load_study
from openflan.tasks.p3.prompts import read_prompts
from openflan.tasks.p3.settings import settings_of
from openflan.templates.wording import load_wordings
from openflan.yaml_files import documents_of, yaml_value

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "recipe": ("mine.yaml", load_recipe),
    "chain": ("mine.yaml", lambda path: load_chain(path, path.parent / "runs")),
    "study": ("mine.yaml", load_study),
    "wordings": ("mine.yaml", load_wordings),
    "benchmark": ("mine.yaml", read_custom_benchmark),
    "settings": ("openflan.yaml", lambda path: settings_of(path.parent)),
    "templates": ("templates.yaml", read_prompts),
    "exemplars": ("gsm8k-cot.yaml", lambda path: gsm8k_exemplars(path.parent)),
}


def bomb(width: int, levels: int, merged: bool = False) -> str:
    """A few hundred bytes that stand for `width ** levels` values: each level names the one before `width`
    times."""
    lines = ["l0: &l0 {k: v}" if merged else "l0: &l0 [v]"]
    for level in range(1, levels):
        names = ", ".join([f"*l{level - 1}"] * width)
        lines.append(f"l{level}: &l{level} {{<<: [{names}]}}" if merged else f"l{level}: &l{level} [{names}]")
    return "\n".join(lines)


HOSTILE: dict[str, tuple[str | bytes, int]] = {
    "alias bomb": (bomb(9, 12), 6),
    "bomb of merged keys": (bomb(9, 12, merged=True), 6),
    "100,000 lists in each other": ("a: 1\nb: " + "[" * 100_000, 2),
    "100,000 lists in each other, as blocks": ("- " * 100_000, 1),
    "3,000 mappings in each other": ("\n".join(" " * level + "a:" for level in range(3_000)), 51),
    "anchor that holds itself": ("a: &a [1, *a]", 1),
    "anchor that holds itself further down": ("a: &a\n  b:\n    - *a", 3),
    "word with a tag of dates": ("\na: !!timestamp soon", 2),
    "date that is none": ("a: 2024-02-31", 1),
    "word with a tag of truth values": ("a: !!bool perhaps", 1),
    "5,000 digits": ("a: " + "9" * 5_000, 1),
    "a million digits of base 60": ("a: 1" + ":1" * 1_000_000, 1),
    "byte that is not UTF-8": (b"a: b\nc: caf\xe9", 2),
    "UTF-16": ("a: b".encode("utf-16"), 1),
    "control character": ("a: b\nc: \x00", 2),
    "foreign object": ("a: !!python/object/apply:os.system ['true']", 1),
    "unknown alias": ("a: b\nc: *d", 2),
    "bracket that never ends": ("a: [1,\n", 2),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_every_yaml_reader_refuses_with_file_and_line(kind: str, reader: str, tmp_path: Path) -> None:
    (content, line), (name, read) = HOSTILE[kind], READERS[reader]
    if reader == "exemplars" and kind == "foreign object":
        pytest.skip("files of lm-eval name functions, which are not run and read as nothing")
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        read(path)
    # A guard against billions of values and quadratic numbers, which take minutes; these take milliseconds.
    assert time.process_time() - began < 2
    message = str(caught.value)
    assert message.startswith(f"{path}:"), message
    assert abs(int(message.removeprefix(f"{path}:").partition(":")[0]) - line) <= 1, message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"templates", "exemplars"}))
def test_a_key_that_stands_twice_is_refused_wherever_it_stands(reader: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    (tmp_path / name).write_text("- a: 1\n- b:\n    c: 2\n    d: 3\n    c: 4\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"yaml:5: `b\.c` stands twice; keep one"):
        read(tmp_path / name)


def test_a_file_beyond_the_size_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_files, "MAX_BYTES", 2**20)
    (tmp_path / "large.yaml").write_text("name: " + "a" * 2**20, encoding="utf-8")
    with pytest.raises(InputError, match="large.yaml: larger than 1 MiB"):
        load_recipe(tmp_path / "large.yaml")


def test_texts_that_anchors_multiply_are_bounded_too() -> None:
    text = "a: &a " + "x" * 1_000_000 + "\nb: [" + ", ".join(["*a"] * 100) + "]"
    with pytest.raises(InputError, match=r"^f:2: stands for more than [\d,]+ characters"):
        documents_of(text, "f")


def test_anchors_and_merged_keys_in_measure_are_read_as_ever() -> None:
    text = "base: &base {a: 1, b: [x, y]}\nmine: {<<: *base, a: 2}\nagain: [*base, *base]\n"
    assert [document.value for document in documents_of(text, "f")] == [yaml.safe_load(text)]


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1_000,
        "&a [*a]",
        "!!timestamp x",
        "9" * 5_000,
        "{a: 1, a: 2}",
        "a\udce9",
        "1\n--- 2",
        bomb(9, 12),
    ],
)
def test_an_override_in_which_yaml_is_hostile_is_named(value: str) -> None:
    with pytest.raises(InputError, match="^`name="):
        load_recipe("tiny-t5-cot", [f"name={value}"])


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_are_what_pyyaml_reads(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert yaml_value(text) == yaml.safe_load(text)


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=30))
def test_whatever_anchors_stand_for_is_small_or_refused(levels: list[list[int]]) -> None:
    """Levels that name earlier ones at random: what is read, walked through in full, stays within the
    limit."""
    lines = [
        f"- &l{at} [v, {', '.join(f'*l{name % at}' for name in names if at)}]"
        for at, names in enumerate(levels)
    ]
    text = "\n".join(lines)
    if _stands_for(levels) > yaml_files.MAX_NODES - 100:
        with pytest.raises(ValueError, match="stands for more than"):
            yaml_value(text)
    else:
        assert _size(yaml_value(text)) <= yaml_files.MAX_NODES


def _stands_for(levels: list[list[int]]) -> int:
    """How many values the levels stand for, each counted wherever it is named."""
    sizes: list[int] = []
    for at, names in enumerate(levels):
        sizes.append(2 + sum(sizes[name % at] for name in names if at))
    return 1 + sum(sizes)


def _size(value: Any) -> int:
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def test_nothing_else_reads_yaml() -> None:
    """The limits hold only if no reader goes around them."""
    root = Path(openflan.__file__).parent
    readers = re.compile(r"yaml\.(safe_load|load|full_load|compose|parse|scan|unsafe_load)\w*\(|Loader=")
    files = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if readers.search(path.read_text(encoding="utf-8"))
    }
    assert files <= {"yaml_files.py"}
    assert readers.search("yaml.safe_load(text)")
