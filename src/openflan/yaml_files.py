"""Read YAML files: plain values only, with bounded work.

A file of a few hundred bytes can expand to billions of values (repeated aliases), be nested deeper than the
interpreter's stack, or contain itself. Values are counted while the file is read, aliases with their full
size. The first limit that is exceeded is an error with its line.

Repeated keys are refused, since YAML itself silently keeps the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.reader import Reader
from yaml.resolver import Resolver

from openflan.errors import InputError

_Pieces: Any
if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class _Pieces(Composer, CParser, SafeConstructor, Resolver):  # type: ignore[no-redef]
        """Events of the C library, composed and constructed by PyYAML's own Python, in which all can be
        counted."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

else:
    _Pieces = yaml.SafeLoader

MAX_BYTES = 16 * 2**20
MAX_NODES = 500_000
"""The most values and keys of a file; an anchor counts again at every alias."""
MAX_CHARACTERS = 4 * MAX_BYTES
"""The most characters of all texts of a file; an anchor counts again at every alias."""
MAX_DEPTH = 50
MAX_ALIASES = 10_000
MAX_NUMBER = 400
"""Characters of a number or date; reading more takes quadratic time, and no double holds them."""


class YamlError(yaml.YAMLError):
    """A document exceeds a limit or breaks a rule of this module; `line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a file: its value, and the YAML nodes it was made from, which contain line numbers."""

    value: Any
    node: yaml.Node


def read_yaml(
    path: Path, *, tags: Sequence[str] = (), any_tag: bool = False, repeated_keys: bool = False
) -> Any:
    """Return the value of a YAML file of one document; None if the file is empty.

    Mappings with one of `tags` are read as plain mappings; with `any_tag`, values with any other foreign tag
    become None. `repeated_keys` keeps the last value of a repeated key, for files that other projects
    wrote.

    Raises InputError with file and line for a file that cannot be read, is not UTF-8 or is not YAML. It is
    also raised for a repeated key and a file beyond a limit.
    """
    return _single(
        documents_of(read_text(path), str(path), tags=tags, any_tag=any_tag, repeated_keys=repeated_keys),
        str(path),
    )


def read_documents(path: Path) -> list[Document]:
    """Return the documents of a YAML file with their nodes, without empty ones. Raises InputError like
    `read_yaml`."""
    return documents_of(read_text(path), str(path))


def read_document(path: Path) -> Document | None:
    """Return the only document of a YAML file with its nodes; None if the file is empty. Raises InputError
    like `read_yaml`."""
    documents = read_documents(path)
    _single(documents, str(path))
    return documents[0] if documents else None


def yaml_value(text: str) -> Any:
    """Return the value of a short YAML text, such as the value of an override. Raises ValueError with a short
    description of the mistake."""
    try:
        documents = documents_of(text, "")
    except InputError as error:
        raise ValueError(str(error)) from None
    if len(documents) > 1:
        raise ValueError("more than one YAML document")
    return documents[0].value if documents else None


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark. Raises InputError if it cannot be read, is too
    large or not UTF-8."""
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with NUL
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path}: larger than {MAX_BYTES // 2**20} MiB, which no YAML file of openflan needs; check "
            "the path"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: not UTF-8 (byte {error.start}: 0x{content[error.start]:02x}); save it as UTF-8"
        ) from None


def documents_of(
    text: str, location: str, *, tags: Sequence[str] = (), any_tag: bool = False, repeated_keys: bool = False
) -> list[Document]:
    """Return the documents of a text. Messages begin with `location`, the path of the file. Raises InputError
    like `read_yaml`."""
    unprintable = Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise _refusal(
            location,
            line,
            f"not valid YAML: the character U+{ord(unprintable.group()):04X} must not stand there",
        )
    loader: _Loader | None = None
    try:
        loader = _Loader(text, tuple(tags), any_tag, repeated_keys)
        documents = []
        while loader.check_node():
            node = loader.get_node()
            documents.append(Document(loader.construct_document(node), node))
        return [document for document in documents if not _empty(document.node)]
    except YamlError as error:
        raise _refusal(location, error.line, error.problem) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = [part for part in (error.context, error.problem, error.note) if part]
        raise _refusal(
            location,
            mark.line + 1 if mark else 1,
            (f"not valid YAML: {' '.join(', '.join(parts).split())[:300]}"),
        ) from None
    except yaml.YAMLError as error:
        raise _refusal(location, 1, f"not valid YAML: {' '.join(str(error).split())[:300]}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _single(documents: list[Document], location: str) -> Any:
    if len(documents) > 1:
        raise _refusal(
            location,
            documents[1].node.start_mark.line + 1,
            "a second YAML document begins here; expected one",
        )
    return documents[0].value if documents else None


def _empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")


def _refusal(location: str, line: int, problem: str) -> InputError:
    return InputError(f"{location}:{line}: {problem}" if location else problem)


class _Loader(_Pieces):  # type: ignore[misc]
    """PyYAML's safe loader with the limits and rules of this module."""

    def __init__(self, text: str, tags: tuple[str, ...], any_tag: bool, repeated_keys: bool) -> None:
        super().__init__(text)
        self._tags, self._any_tag, self._repeated_keys = tags, any_tag, repeated_keys
        self._nodes = self._characters = self._aliases = 0
        self._path: list[str] = []
        self._open: set[int] = set()
        # Of every finished node that has an anchor: the nodes and characters that it stands for.
        self._sizes: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        anchor = event.anchor
        if isinstance(event, yaml.AliasEvent):
            named = self.anchors.get(anchor)
            if named is not None:
                if id(named) in self._open:
                    raise YamlError(f"the anchor `{anchor}` holds itself", line)
                self._aliases += 1
                if self._aliases > MAX_ALIASES:
                    raise YamlError(f"more than {MAX_ALIASES:,} aliases", line)
                self._count(*self._sizes[id(named)], line)
            return super().compose_node(parent, index)
        before = self._nodes, self._characters
        self._count(1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0, line)
        if len(self._path) > MAX_DEPTH:
            raise YamlError(f"nested more than {MAX_DEPTH} levels deep", line)
        node = super().compose_node(parent, index)
        if anchor is not None and node is not None:
            self._sizes[id(node)] = self._nodes - before[0], self._characters - before[1]
        return node

    def compose_sequence_node(self, anchor: str | None) -> yaml.Node:
        start = self.get_event()
        node = yaml.SequenceNode(
            self._tag(yaml.SequenceNode, start), [], start.start_mark, None, flow_style=start.flow_style
        )
        self._begin(node, anchor, "[]")
        while not self.check_event(yaml.SequenceEndEvent):
            node.value.append(self.compose_node(node, len(node.value)))
        return self._end(node)

    def compose_mapping_node(self, anchor: str | None) -> yaml.Node:
        start = self.get_event()
        node = yaml.MappingNode(
            self._tag(yaml.MappingNode, start), [], start.start_mark, None, flow_style=start.flow_style
        )
        self._begin(node, anchor, "")
        known_keys: set[tuple[str, str]] = set()
        while not self.check_event(yaml.MappingEndEvent):
            key = self.compose_node(node, None)
            if isinstance(key, yaml.ScalarNode):
                self._path[-1] = key.value
                if (key.tag, key.value) in known_keys and not self._repeated_keys:
                    dotted = ".".join(name for name in self._path if name != "[]")
                    raise YamlError(f"`{dotted[:200]}` stands twice; keep one", key.start_mark.line + 1)
                known_keys.add((key.tag, key.value))
            node.value.append((key, self.compose_node(node, key)))
        return self._end(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        line = node.start_mark.line + 1
        if (
            isinstance(node, yaml.ScalarNode)
            and len(node.value) > MAX_NUMBER
            and node.tag.endswith((":int", ":float", ":timestamp"))
        ):
            raise YamlError(f"a number of {len(node.value):,} characters; the most are {MAX_NUMBER}", line)
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError, MemoryError):
            raise
        # whatever PyYAML's constructors raise for values that do not fit their tags, such as AttributeError
        except Exception as error:
            quoted = f"`{node.value[:60]}`" if isinstance(node, yaml.ScalarNode) else "this value"
            why = f" ({error})" if isinstance(error, ValueError) else ""
            kind = node.tag.rpartition(":")[2]
            raise YamlError(
                f"not valid YAML: {quoted} is no {kind}{why}; put it in quotes if it is a text", line
            ) from None

    def construct_foreign(self, node: yaml.Node) -> Any:
        """Return the value of a node with a tag that YAML itself does not define."""
        if node.tag in self._tags and isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        return None if self._any_tag else self.construct_undefined(node)

    def _tag(self, kind: type[yaml.Node], start: Any) -> str:
        tag: str | None = start.tag
        resolved: str = self.resolve(kind, None, start.implicit) if tag is None or tag == "!" else tag
        return resolved

    def _begin(self, node: yaml.Node, anchor: str | None, key: str) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        self._open.add(id(node))
        self._path.append(key)

    def _end(self, node: yaml.Node) -> yaml.Node:
        node.end_mark = self.get_event().end_mark
        self._path.pop()
        self._open.discard(id(node))
        return node

    def _count(self, nodes: int, characters: int, line: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            raise YamlError(
                f"stands for more than {MAX_NODES:,} values, anchors counted wherever they are named", line
            )
        if self._characters > MAX_CHARACTERS:
            raise YamlError(
                f"stands for more than {MAX_CHARACTERS:,} characters, anchors counted wherever they are "
                "named",
                line,
            )


_Loader.add_constructor(None, _Loader.construct_foreign)
