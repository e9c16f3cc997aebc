"""T0-SF from raw datasets and the templates of promptsource: what P3 was made by, with every choice in our
hands.

    DIR/templates/quarel/templates.yaml                 a checkout, or its `promptsource` folder
    DIR/templates/cos_e/v1.11/templates.yaml            with a folder for a subset
    DIR/data/quarel/train-00000-of-00001.parquet        the rows of each dataset: Parquet, Arrow, JSON lines
    DIR/data/cos_e/v1.11/train.jsonl

A template is a task. It is rendered when a row is drawn; opening a task renders every row once, to find those
that give nothing: a template prints nothing for rows that it does not suit, which leaves them out, and counts
them. Price: opening takes as long as the rows take to render, 10,000 to 30,000 a second. What a text may do
is said in `sandbox`; its random choices are drawn from (seed, task, row), so that a row always reads the
same.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import InputError, did_you_mean
from openflan.randomness import Draws, key_of
from openflan.tasks.digest import digest_of, joined
from openflan.tasks.p3.names import chosen_names, entry_of, published, template_task
from openflan.tasks.p3.prompts import FILE, SEPARATOR, Prompt, read_prompts
from openflan.tasks.p3.settings import Settings, row_of, settings_of
from openflan.tasks.p3.tables import has_rows, open_rows, train_files
from openflan.tasks.public import Excluded, Unusable, each, encodable, public
from openflan.tasks.records import Record, Records
from openflan.tasks.task import Opener, Row, Task, name_of

if TYPE_CHECKING:
    from openflan.tasks.p3.sandbox import Program

CHOICES = "answer_choices"

# Code points that Unicode keeps out of interchange, as many as what they stand for, so that lengths stay as
# they are.
_PROTECTED = "\ufdd0\ufdd1\ufdd0"
_PURPOSE = key_of("promptsource")


class Prompter:
    """One template, compiled, that makes rows of records."""

    def __init__(self, prompt: Prompt, task: str, options: bool, settings: Settings) -> None:
        """`options`: whether its rows have their choices as `options`. Raises InputError for a text that is
        no Jinja, or does what none may."""
        self._prompt = prompt
        self._key = key_of(task)
        self._options = options
        self._settings = settings
        self._text = _compiled(prompt.jinja, prompt, "text", settings.clip)
        self._choices = (
            _compiled(prompt.answer_choices, prompt, f"`{CHOICES}`", None) if prompt.answer_choices else None
        )

    def row(self, records: Records, index: int, record: Record) -> Row:
        """The row that the template makes of a record.

        Raises Unusable if it makes none, as nothing is printed, or the record lacks what the template names;
        InputError naming file, template and row for what no text may do.
        """
        from openflan.jinja.budget import Refused, Short
        from openflan.tasks.p3.sandbox import Missing

        values: Mapping[str, Any] = record
        guarded = _holds(record, SEPARATOR)
        if guarded:
            values = _protected(record, SEPARATOR, _PROTECTED)
        if CHOICES in record:
            raise Unusable(
                f"has a field `{CHOICES}`, whose name belongs to the templates; rename it",
                f"has a field `{CHOICES}`",
            )
        draws = Draws(self._settings.seed, _PURPOSE, self._key, index)
        try:
            choices = (
                [text.strip() for text in self._choices.render(values, draws).split(SEPARATOR)]
                if self._choices
                else None
            )
            parts = [
                text.strip()
                for text in self._text.render({**values, CHOICES: choices}, draws).split(SEPARATOR)
            ]
        except Short:
            raise _without("an item beyond the end of a list") from None
        except Missing as error:
            raise Unusable(
                self._lacks(error.name, str(error), records, record), f"lacks `{error.name}`"
            ) from None
        except Refused as error:
            raise InputError(f"{records.place(index)}: {self._prompt.place} {_saying(error)}") from None
        except ValueError as error:
            raise Unusable(
                f"{self._prompt.place} {_saying(error)}", f"fails: {str(error).partition(':')[0]}"
            ) from None
        if parts == [""]:
            raise _without("nothing printed")
        if len(parts) != 2:
            raise _without(f"{len(parts) - 1} separators printed instead of one")
        if guarded:
            parts, choices = (_protected(found, _PROTECTED, SEPARATOR) for found in (parts, choices))
        row = row_of(
            parts[0],
            parts[1],
            [choice for choice in choices or [] if choice] if self._options else None,
            self._settings.clean,
        )
        if not (row["inputs"] and row["targets"]):
            raise _without("empty inputs or targets")
        if self._options and row["targets"] not in row["options"]:
            raise _without("targets that are not among their choices")
        return row

    def described(self) -> bytes:
        """All that a row depends on beside its record."""
        return repr((replace(self._prompt, place=""), self._key, self._options, self._settings)).encode()

    def _lacks(self, name: str, message: str, records: Records, record: Record) -> str:
        location = f"{self._prompt.place} names `{name}`"
        columns = ", ".join(f"`{key}`" for key in record if key != CHOICES)
        hint = did_you_mean(name, [str(key) for key in record]) or f"; the row has {columns}"
        return (
            f"{location}, which is not there ({message}){hint}; are these the rows that the templates were "
            "written for?"
        )


class PromptedRows:
    """The records for which a template gives an example, rendered when they are drawn."""

    def __init__(self, records: Records, positions: array[int], prompter: Prompter) -> None:
        self._records = records
        self._positions = positions
        self._prompter = prompter

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self._positions):
            raise IndexError(index)
        position = self._positions[index]
        return self._prompter.row(self._records, position, self._records[position])

    def digest(self) -> bytes | None:
        return joined(
            "prompted", [digest_of(self._records), self._positions.tobytes(), self._prompter.described()]
        )


def is_promptsource(data: Path) -> bool:
    return bool(_template_files(data))


def find_promptsource(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a promptsource folder whose datasets have rows there and that the submixture takes (see
    `names`).

    `openflan.yaml` in it may set `clean`, `clip` and `seed`. Raises InputError for a broken file of
    templates, for two templates of one name, and if no dataset has rows.
    """
    settings = settings_of(data)
    prompts: dict[str, tuple[Prompt, Path]] = {}
    files = _template_files(data)
    for file, dataset in files.items():
        rows = data.joinpath("data", *dataset)
        if not has_rows(rows):
            continue
        for prompt in read_prompts(file):
            first_prompt, _ = prompts.setdefault(
                published(template_task(dataset, prompt.name)), (prompt, rows)
            )
            if first_prompt is not prompt:
                raise InputError(
                    f"{prompt.place}: would be named `{template_task(dataset, prompt.name)}`, as "
                    f"{first_prompt.place}; rename one of them"
                )
    if not prompts:
        folder = data.joinpath("data", *next(iter(files.values())))
        raise InputError(
            f"{data}: templates of {len(files):,} datasets and rows of none; put them into folders such "
            f"as {folder}"
        )
    return {
        name_of(submixture, name): public(
            partial(_open, *prompts[name], name_of(submixture, name), name, settings)
        )
        for name in chosen_names(prompts, submixture, data)
    }


def _template_files(data: Path) -> dict[Path, Sequence[str]]:
    """The files of templates with the names of their datasets and subsets."""
    for folder in (data / "templates", data / "promptsource" / "templates"):
        if files := sorted(folder.glob(f"*/**/{FILE}")):
            return {file: file.parent.relative_to(folder).parts for file in files}
    return {}


def _open(prompt: Prompt, folder: Path, name: str, bare: str, settings: Settings) -> Task:
    entry = entry_of(bare)
    options = (
        bool(entry.options)
        if entry
        else prompt.answer_choices is not None and prompt.choices_in_prompt is False
    )
    if options and prompt.answer_choices is None:
        raise InputError(
            f"{prompt.place}: has no `{CHOICES}`, which the collection has for {name}; take a later "
            "version of promptsource"
        )
    prompter = Prompter(prompt, name, options, settings)
    records = open_rows(train_files(folder))
    positions, excluded = array("I"), Excluded()
    for index, record, error in each(records):
        if error is None:
            try:
                encodable(prompter.row(records, index, record))
            except Unusable as unusable:
                error = unusable
        if error is None:
            positions.append(index)
        else:
            excluded.add(records.place(index), error)
    if not positions:
        raise InputError(
            f"{prompt.place}: gives no example for any of the {len(records):,} rows in {folder} "
            f"({excluded}); the first: {excluded.first}"
        )
    return Task(
        name,
        PromptedRows(records, positions, prompter),
        frozenset({"inputs", "targets", "question", "answer"} | ({"options"} if options else set())),
        dataset=entry.dataset if entry else folder.name,
        category=entry.category if entry else "promptsource",
        licence=entry.licence if entry else None,
        left_out=dict(excluded.counts),
    )


def _compiled(text: str, prompt: Prompt, part: str, clip: int | None) -> Program:
    from openflan.tasks.p3.sandbox import compiled

    try:
        return compiled(text, clip)
    except ValueError as error:
        raise InputError(f"{prompt.place}: its {part} {_saying(error)}") from None


def _saying(error: ValueError) -> str:
    from openflan.jinja.budget import Refused

    return f"is refused: it {error}" if isinstance(error, Refused) else f"fails: {error}"


def _without(reason: str) -> Unusable:
    """Why a template gives no example for a row, which is no error."""
    return Unusable(reason, reason)


def _protected(value: Any, old: str, new: str) -> Any:
    """A value of JSON's kinds with `old` replaced by `new` in every text of it; itself where there is
    none."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_protected(item, old, new) for item in value] if _holds(value, old) else value
    if isinstance(value, dict):
        return (
            {key: _protected(item, old, new) for key, item in value.items()} if _holds(value, old) else value
        )
    return value


def _holds(value: Any, text: str) -> bool:
    """Return True if `text` occurs in any text of the value."""
    if isinstance(value, str):
        return text in value
    if isinstance(value, list):
        return any(_holds(item, text) for item in value)
    return isinstance(value, dict) and any(_holds(item, text) for item in value.values())
