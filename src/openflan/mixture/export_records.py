"""One exported example: its columns in both forms, as a plain record and as an Arrow schema.

`text` has the columns `inputs` and `targets`; `messages` has one column of chat messages instead, the inputs
as the user's and the targets as the assistant's. Both have the example's `position` in the stream and where
it came from (`Rendered.provenance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from openflan.errors import InputError, did_you_mean
from openflan.templates.render import Rendered

Form: TypeAlias = Literal["text", "messages"]
FORMS: tuple[Form, ...] = get_args(Form)

Record: TypeAlias = dict[str, object]

Kind: TypeAlias = Literal["text", "name", "number", "numbers", "texts", "messages"]

_TEXTS: Mapping[Form, Mapping[str, Kind]] = {
    "text": {"inputs": "text", "targets": "text"},
    "messages": {"messages": "messages"},
}
_PROVENANCE: Mapping[str, Kind] = {
    "position": "number",
    "task": "name",
    "row": "number",
    "style": "name",
    "wording": "name",
    "exemplars": "numbers",
    "pruned": "number",
    "labels": "texts",
    "between": "text",
    "separator": "text",
    "options": "text",
}


def form_of(name: str) -> Form:
    """The form of that name. Raises InputError with the nearest one."""
    for form in FORMS:
        if form == name:
            return form
    hint = did_you_mean(name, FORMS) or f"; expected {' or '.join(FORMS)}"
    raise InputError(f"--form {name}: no form of an export{hint}")


def columns(form: Form = "text") -> dict[str, Kind]:
    """The columns of a form, in their order, each with the kind of its values."""
    return {**_TEXTS[form], **_PROVENANCE}


def record(position: int, example: Rendered, form: Form = "text") -> Record:
    """Return one line of the file: texts, position and provenance of an example."""
    texts: Record = {"inputs": example.inputs, "targets": example.targets}
    if form == "messages":
        texts = {
            "messages": [
                {"role": "user", "content": example.inputs},
                {"role": "assistant", "content": example.targets},
            ]
        }
    return {**texts, "position": position, **example.provenance()}


def schema(form: Form = "text") -> Any:
    """The Arrow schema of a form."""
    import pyarrow as pa

    kinds: dict[Kind, Any] = {
        "text": pa.string(),
        "name": pa.dictionary(pa.int32(), pa.string()),
        "number": pa.int64(),
    }
    kinds |= {"numbers": pa.list_(pa.int64()), "texts": pa.list_(pa.string())}
    kinds["messages"] = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    return pa.schema([(column, kinds[kind]) for column, kind in columns(form).items()])
