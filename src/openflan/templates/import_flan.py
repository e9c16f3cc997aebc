"""The collection's own wordings, from a public FLAN checkout into YAML files that a recipe can choose.

The paper trained on templates that its task creators wrote; they belong to that repository, so openflan
brings a reader instead of a copy. Files are read as literals (`flan_files`), templates become wordings
(`convert_flan`), and what could not be taken over is reported with place and reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError, SetupError
from openflan.hashes import SHORT, sha256_of_file
from openflan.templates.convert_flan import converted
from openflan.templates.dump import dump_wordings, kind
from openflan.templates.flan_files import Skipped, TemplateFile, read_template_file
from openflan.templates.wording import WordingSet, load_wordings

REQUIRED = ("flan/v2/templates.py", "flan/v2/flan_templates_branched.py")
OPTIONAL = "flan/templates.py"
HEAD = "# Imported by `openflan wordings import`; do not edit, the next import overwrites it."
"""The first line of every imported file: only files that begin so are ever replaced."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote: files, tasks by file, wordings by kind, and what was left out."""

    folder: Path
    files: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, int]
    skipped: tuple[Skipped, ...]


def import_flan(checkout: Path, folder: Path) -> Imported:
    """Reads the template files of `checkout` and writes `folder`/SUBMIXTURE/NAME.yaml; nothing of the
    checkout is executed.

    Raises InputError if a file is missing or is not what it should be, or if `folder` holds YAML files that
    an import did not write.
    """
    for name in REQUIRED:
        if not (checkout / name).is_file():
            raise InputError(
                f"{checkout / name}: no such file; name the root of a checkout of "
                f"github.com/google-research/FLAN, which holds {REQUIRED[0]}"
            )
    release, original = (read_template_file(checkout / name) for name in REQUIRED)
    files = [release, original]
    if (checkout / OPTIONAL).is_file():
        files.append(_without(read_template_file(checkout / OPTIONAL), original))
    skipped = [skip for file in files for skip in file.skipped]
    sets = converted(files, skipped)
    if not sets:
        raise InputError(
            f"{checkout}: no template could be taken over; "
            f"{skipped[0].reason if skipped else 'the files are empty'}"
        )
    _write_all(folder, sets, [_described(file.path, checkout) for file in files])
    kinds = Counter(kind(wording) for found in sets.values() for wording in found.wordings)
    return Imported(
        folder, {name: found.tasks for name, found in sets.items()}, dict(kinds.most_common()), tuple(skipped)
    )


def _without(older: TemplateFile, newer: TemplateFile) -> TemplateFile:
    """Only the keys of `older` that `newer`, its corrected form, lacks."""
    known = {key for store in newer.stores.values() for key in store}
    stores = {
        name: {key: found for key, found in store.items() if key not in known}
        for name, store in older.stores.items()
    }
    return TemplateFile(older.path, stores, older.skipped)


def _write_all(folder: Path, sets: Mapping[str, WordingSet], origins: list[str]) -> None:
    try:
        present = (
            {
                path: path.read_text(encoding="utf-8").startswith(HEAD)
                for path in sorted(folder.rglob("*.yaml"))
            }
            if folder.is_dir()
            else {}
        )
        foreign = next((path for path, ours in present.items() if not ours), None)
        if foreign is not None:
            raise InputError(
                f"{foreign}: not an imported file; name an empty folder with --to, or move your own "
                "wordings elsewhere"
            )
        written = {
            folder / f"{name}.yaml": dump_wordings(wording_set, _head(origins))
            for name, wording_set in sets.items()
        }
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".partial")
            temporary.write_text(text, encoding="utf-8")
            load_wordings(temporary)  # what a recipe could not read never reaches the cache
            temporary.replace(path)
        for path in present.keys() - written.keys():
            path.unlink()
    except UnicodeDecodeError:
        raise InputError(
            f"{folder}: holds YAML files that are not UTF-8; name an empty folder with --to"
        ) from None
    except OSError as error:
        raise SetupError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); name another folder with --to"
        ) from None


def _head(origins: list[str]) -> str:
    return (
        f"{HEAD}\n# Source: template files of github.com/google-research/FLAN, {'; '.join(origins)}.\n"
        "# Their texts are that repository's and stay under its licence (see LICENSE there); openflan "
        "neither contains nor grants them.\n"
    )


def _described(path: Path, checkout: Path) -> str:
    return f"{path.relative_to(checkout).as_posix()} (sha256 {sha256_of_file(path)[:SHORT]})"
