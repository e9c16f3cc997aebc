"""Text with `{field}` in it and nothing more clever: no code, no formatting, doubled braces for literal ones.

Patterns are split once at load; rendering is then a join of strings, so the text of a row can never be read
as a pattern.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with `{field}` placeholders, split into what stands between them: `literals` has one more item
    than `fields`."""

    text: str
    literals: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError for anything but plain `{field}` placeholders."""
        literals, fields = [""], []
        for literal, name, spec, conversion in string.Formatter().parse(text):
            literals[-1] += literal
            if name is None:
                continue
            if not name.isidentifier() or spec or conversion:
                raise ValueError(
                    f"`{{{name}}}` is not a plain {{field}}; double the braces if they are meant literally"
                )
            fields.append(name)
            literals.append("")
        return cls(text, tuple(literals), tuple(fields))

    @property
    def bare(self) -> bool:
        """Whether it consists of fields with blanks between them, without text of its own."""
        return not any(literal.strip() for literal in self.literals)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every field filled in; KeyError if one is missing."""
        parts = [self.literals[0]]
        for name, literal in zip(self.fields, self.literals[1:], strict=True):
            parts.append(values[name])
            parts.append(literal)
        return "".join(parts)

    def paragraphs(self) -> tuple[Pattern, Pattern] | None:
        """The first paragraph, and what follows the blank line after it; None if there are not two."""
        first, _, rest = self.text.partition("\n\n")
        return (Pattern.parse(first), Pattern.parse(rest)) if first.strip() and rest.strip() else None
