"""What pages and scripts name exists: files of this repository, modules, links, and what scripts import."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "openflan"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "artifacts").glob("*.md"),
        *ROOT.glob("src/**/*.md"),
    ]
)
SCRIPTS = sorted([*ROOT.glob("scripts/*.py"), *ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/**/*.py")])
OLD_NAMES = {"CHANGELOG.md"}
"""A changelog mentions files under the names that they had."""

FOLDERS = ("src", "tests", "docs", "scripts", "benchmarks", "examples", "artifacts")


def missing_files(text: str) -> set[str]:
    """Paths from the root of the repository that `text` mentions and that are not there."""
    names = re.findall(rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)(?![\w*{{<])", text)
    absent = {name for name in names if not (ROOT / name).exists()}
    # In a page, `templates/render.py` is a file of the package.
    absent |= {
        name
        for name in re.findall(r"`([\w/]+\.py)`", text)
        if (PACKAGE / name.split("/")[0]).is_dir() and not (PACKAGE / name).exists()
    }
    return {name for name in absent if "NAME" not in name} - {"examples/s"}


def missing_modules(text: str) -> set[str]:
    """Dotted names `openflan.x.y` of which neither a module nor an attribute of a module is there."""
    names = set(re.findall(r"(?<![\w/.-])openflan(?:\.[a-z_]\w*)+", text)) - {
        "openflan.yaml",
        # The group of entry points, and the package that the guide makes up.
        "openflan.benchmarks",
        "openflan.evaluation.colours",
    }
    return {name for name in names if not _exists(name)}


def _exists(name: str) -> bool:
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:
        return False


def missing_links(page: Path) -> set[str]:
    """Targets of relative links in a page that are not there: files, and headings of Markdown files."""
    wrong = set()
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        if "://" in target:
            continue
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            wrong.add(f"{target}#{anchor}" if anchor else target)
    return wrong


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub writes them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    assert missing_links(page) == set()
    if page.name not in OLD_NAMES:
        text = page.read_text(encoding="utf-8")
        assert missing_files(text) == set()
        assert missing_modules(text) == set()


def test_what_scripts_import_exists() -> None:
    wrong = {}
    for script in SCRIPTS:
        tree = ast.parse(script.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
        absent = [name for name in names if name.startswith("openflan") and not _exists(name)]
        if absent:
            wrong[script.name] = absent
    assert wrong == {}


def test_the_checks_notice(tmp_path: Path) -> None:
    assert missing_files("see `src/openflan/nowhere.py` and docs/data.md") == {"src/openflan/nowhere.py"}
    assert missing_files("`templates/nowhere.py`, `templates/render.py`") == {"templates/nowhere.py"}
    assert missing_modules("openflan.nowhere, openflan.recipe.schema") == {"openflan.nowhere"}
    text = "# A part\n[a](b.md), [c](page.md#a-part), [d](https://e.org/f), [e](#nowhere)"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    assert missing_links(tmp_path / "page.md") == {"b.md", "#nowhere"}
