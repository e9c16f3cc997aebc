"""Files of promptsource: `templates/DATASET[/SUBSET]/templates.yaml`, read as data.

The YAML has two tags of its own, `!Template` and `!TemplateMetadata`, which promptsource turns into objects;
here they are plain mappings and every other tag is refused, so that reading a file runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.yaml_files import read_yaml

TAGS = ("!Template", "!TemplateMetadata")
SEPARATOR = "|||"
FILE = "templates.yaml"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template: `jinja` gives inputs and target with SEPARATOR between them, `answer_choices` the choices
    with SEPARATOR between them.

    `name` is as the file has it, a blank at its end too, since that shows in the task's name.
    `choices_in_prompt`: whether the inputs show the choices, None if the file does not say. `place` names
    file and template, for messages.
    """

    name: str
    jinja: str
    answer_choices: str | None
    choices_in_prompt: bool | None
    place: str


def read_prompts(path: Path) -> list[Prompt]:
    """The templates of a file, in its order.

    Raises InputError with file and line for text that is not YAML, not UTF-8 or has foreign tags. A template
    that lacks its name or text is named.
    """
    document = read_yaml(path, tags=TAGS, repeated_keys=True)
    templates = document.get("templates") if isinstance(document, dict) else None
    if not isinstance(templates, dict) or not templates:
        raise InputError(f"{path}: expected `templates:`, a mapping of ids to templates")
    return [_prompt(template, f"{path}, template {key}") for key, template in templates.items()]


def _prompt(template: Any, location: str) -> Prompt:
    if not isinstance(template, dict):
        raise InputError(f"{location}: expected a mapping with `name` and `jinja`")
    for key in ("name", "jinja"):
        if not isinstance(template.get(key), str) or not template[key].strip():
            raise InputError(
                f"{location}: `{key}` must be a text that is not empty; found {template.get(key)!r:.60}"
            )
    location = f"{location.rpartition(', template ')[0]}, template `{template['name'].strip()}`"
    choices = template.get("answer_choices")
    if isinstance(choices, list):  # as early files have them
        choices = f" {SEPARATOR} ".join(map(str, choices))
    if not isinstance(choices, str | None):
        raise InputError(
            f"{location}: `answer_choices` must be a text with {SEPARATOR} between the choices; found "
            f"{choices!r:.60}"
        )
    if SEPARATOR not in template["jinja"]:
        raise InputError(f"{location}: its text has no {SEPARATOR}, which separates inputs and target")
    metadata = template.get("metadata")
    choices_in_prompt = metadata.get("choices_in_prompt") if isinstance(metadata, dict) else None
    return Prompt(
        template["name"],
        template["jinja"],
        choices or None,
        choices_in_prompt if isinstance(choices_in_prompt, bool) else None,
        location,
    )
