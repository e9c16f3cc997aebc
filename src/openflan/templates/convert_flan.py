"""Converts the templates of a FLAN checkout to wordings.

Keys become task names, fields get our names, inversions are told apart by what they ask for. Departures:
templates whose targets only repeat their inputs, or list the options, are left out as defects, with a reason;
forms that hide the options are made here by deleting the placeholder, as the release does by code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from openflan.tasks.p3.task_types import T0_TYPES, names_of_type
from openflan.templates.flan_fields import MERGED, fields_of, merged
from openflan.templates.flan_files import Skipped, Template, TemplateFile
from openflan.templates.formats import Frame
from openflan.templates.pattern import Pattern
from openflan.templates.wording import JOINED, InvertedShare, Shots, Wording, WordingSet

_FIELDS = {
    "options_": "options",
    "options_str": "options",
    "chain_of_thought": "rationale",
    "cot": "rationale",
    "Definition": "definition",
}
_EVERYWHERE = frozenset({"definition", "question", "answer"})
_FIELDS_NIV2 = {
    "input": "question",
    "output": "answer",
    "ex_input": "positive_input",
    "ex_output": "positive_output",
    "ex_explanation": "positive_explanation",
}

# The release gives several datasets one set of templates (`t_name_to_flan_pattern_name` in flan/v2/utils.py).
_SHARED = {
    "anli": ("muffin/anli_r1", "muffin/anli_r2", "muffin/anli_r3"),
    "arc": ("muffin/arc_easy", "muffin/arc_challenge"),
    "mnli": ("muffin/mnli_matched", "muffin/mnli_mismatched"),
    "trivia_qa": ("muffin/trivia_qa", "muffin/trivia_qa_wiki_missing"),
    "para_crawl": ("muffin/para_crawl*",),
    "wmt16_translate": ("muffin/wmt16_translate*",),
    "natinst_v2": ("niv2/*",),
}
_GENERAL = (
    "cot_stream_general_input_inversion",
    "predict_next_turn_dialog",
    "predict_next_turn_dialog_input_inversion",
    "program_synthesis_dr_repair",
    "program_synthesis_dr_repair_input_inversion",
)
_UNUSED = ("synth_cot_", "bigbench:")
_INVERSION = re.compile(r"_input_inversion(?=_|$)")
_PLACEHOLDER = re.compile(r"\s*(?:\|\s*)?(?:\(\{options\}\)|(?<!\{)\{options\}(?!\}))")


def converted(files: list[TemplateFile], skipped: list[Skipped]) -> dict[str, WordingSet]:
    """The wordings of all files by the name they are kept under; what cannot be taken over is added to
    `skipped`.

    The first file is the release's, whose zero-shot templates with options count; the others are the sets of
    2021.
    """
    lists: list[tuple[bool, str, str, list[Wording]]] = []
    for file_index, file in enumerate(files):
        for store, keys in file.stores.items():
            for key, templates in keys.items():
                if _tasks(key):
                    lists.append(
                        (
                            file_index == 0,
                            store,
                            key,
                            list(_converted(store, templates, skipped, "flan2021" if file_index else "flan")),
                        )
                    )
                else:
                    skipped.append(
                        Skipped(
                            templates[0].location if templates else str(file.path),
                            f"{store}[{key!r}]",
                            _unused(key),
                        )
                    )
    anchors = _anchors(lists)
    of_2021 = {key for release, _, key, _ in lists if not release}
    groups: dict[str, dict[tuple[object, ...], Wording]] = {}
    counted: dict[tuple[str, str], list[bool]] = {}
    for release, store, key, wordings in lists:
        marked = [
            _marked(one, bool(_INVERSION.search(key)) or _inverted(one, anchors[key]), _tasks(key))
            for one in wordings
        ]
        if release and not _INVERSION.search(key):
            counted[_file_name(key), _shots(store)] = [one.inverted for one in marked if JOINED not in one.id]
        # Zero-shot forms without options stem from the 2021 set where there is one: it never says that there
        # are options.
        without_options = (
            [made for one in marked for made in _without_options(one)]
            if store == "FEWSHOT_PATTERNS" or not release or key not in of_2021
            else []
        )
        with_options = marked if release else [one for one in marked if "options" not in one.inputs.fields]
        group = groups.setdefault(_file_name(key), {})
        for wording in [*with_options, *without_options]:
            group.setdefault(_content_key(wording), wording)
    tasks = {_file_name(key): _tasks(key) for _, _, key, _ in lists}
    of_their_own = {_file_name(key) for _, _, key, _ in lists if _INVERSION.search(key)}
    return {
        name: _set(
            tasks[name],
            tuple(group.values()),
            # Inversions that are tasks of their own there are weighed beside the direct ones, not counted.
            None if name in of_their_own else _inverted_share(counted, name),
        )
        for name, group in groups.items()
        if group
    }


def _tasks(key: str) -> tuple[str, ...]:
    """The tasks, or patterns of tasks, that a key words; none if no task of the collection uses it."""
    if key.startswith(_UNUSED) or key in _GENERAL:
        return ()
    if key in _SHARED:
        return _SHARED[key]
    name = _INVERSION.sub("", key)
    if name in T0_TYPES:
        return tuple(f"t0_sf/{task}" for task in names_of_type(name))
    chain = re.fullmatch(r"(?:cot|stream)_(\w+)", name)
    if chain:
        return (f"cot/{chain[1]}",)
    return (f"muffin/{name}",) if re.fullmatch(r"[\w.\-]+", name) else ()


def _unused(key: str) -> str:
    return (
        "a set that other keys name; taken over under those"
        if key in _GENERAL
        else "no task of the collection uses it"
    )


def _file_name(key: str) -> str:
    tasks = _tasks(key)
    submixture, _, name = tasks[0].partition("/")
    return f"{submixture}/{'all' if name == '*' else key if len(tasks) > 1 or '*' in name else name}"


def _shots(store: str) -> Shots:
    return "few" if store.startswith("FEWSHOT") else "inside" if store.startswith("INLINE") else "zero"


def _converted(store: str, templates: list[Template], skipped: list[Skipped], prefix: str) -> list[Wording]:
    shots = _shots(store)
    form = "hidden" if store.endswith("NO_OPTIONS") else shots
    made: list[Wording] = []
    for template in templates:
        name = f"{prefix}-{_slug(template.key)}-{form}-{template.index}"
        try:
            made.append(_convert(template, name, shots))
            made += _converted_for_merged_rows(template, f"{name}{JOINED}", shots, made[-1])
        except ValueError as error:
            skipped.append(
                Skipped(template.location, f"{store}[{template.key!r}][{template.index}]", str(error))
            )
    return made


def _convert(
    template: Template, name: str, shots: Shots, renamed: Mapping[str, str] | None = None
) -> Wording:
    """`renamed`: our names for its fields, those of its key if absent. ValueError with the reason if the
    template cannot be a wording."""
    key = _INVERSION.sub("", template.key)
    of_key = _FIELDS_NIV2 if key == "natinst_v2" else fields_of(key)
    texts, fields = template.texts, {**_FIELDS, **(of_key if renamed is None else renamed)}
    inputs, targets = (_renamed(texts[side], fields) for side in ("inputs", "targets"))
    input_fields, target_fields = set(Pattern.parse(inputs).fields), set(Pattern.parse(targets).fields)
    if texts.get("final_suffix"):
        raise ValueError("text after the last exemplar has no place in a wording")
    if not target_fields:
        raise ValueError("its targets name no field")
    if "options" in target_fields:
        raise ValueError("its targets list the options")
    if target_fields <= input_fields:
        raise ValueError("its targets only repeat what its inputs hold")
    frame, instruction = None, ""
    if shots == "few":
        labels = (texts.get("inputs_prefix", ""), texts.get("targets_prefix", ""))
        instruction = _instruction(texts.get("input_pattern", ""), fields)
        if instruction:
            inputs = f"{instruction}\n\n{inputs}"
        # The release strips the targets of the final item, and of no exemplar.
        stripped = targets.rstrip()
        separator = targets[len(stripped) :] + texts.get("example_separator", "\n\n\n")
        frame, targets = Frame(labels, texts.get("x_y_delimiter", "\n\n"), separator), stripped
    pattern = Pattern.parse(inputs)
    parts = pattern.paragraphs() if instruction else None
    if parts and not parts[1].fields:
        raise ValueError("its inputs name no field")
    return Wording(
        name,
        pattern,
        Pattern.parse(targets),
        rationale="rationale" in target_fields,
        shots=shots,
        source=template.location,
        frame=frame,
        instruction=parts[0] if parts else None,
        item=parts[1] if parts else None,
        plain_options="{options_str}" in texts["inputs"],
    )


def _converted_for_merged_rows(
    template: Template, name: str, shots: Shots, wording: Wording
) -> Iterator[Wording]:
    """The form for rows that hold two fields of the template as one, if it differs from `wording`, the
    template's own. ValueError as `_convert`."""
    key = _INVERSION.sub("", template.key)
    inputs, targets = (merged(key, template.texts[side]) for side in ("inputs", "targets"))
    if key not in MERGED or inputs is None or targets is None:
        return
    fields = {name: new for name, new in fields_of(key).items() if name != MERGED[key].whole}
    made = _convert(
        replace(template, texts=template.texts | {"inputs": inputs, "targets": targets}), name, shots, fields
    )
    if _content_key(made) != _content_key(wording):
        yield made


def _inverted(wording: Wording, anchor: str) -> bool:
    """Whether a wording asks for anything but the field that the direct ones ask for. Targets of a rationale
    alone are direct, unless the inputs give the answer."""
    asked = set(wording.targets.fields) - {"rationale"}
    if asked:
        return asked != {anchor}
    return anchor != "rationale" and anchor in wording.inputs.fields


def _inverted_share(counted: Mapping[tuple[str, str], list[bool]], name: str) -> InvertedShare | None:
    """The share of inversions among the release's templates with options, zero-shot and few-shot."""
    zero, few = (counted.get((name, shots), []) for shots in ("zero", "few"))
    if not zero and not few:
        return None
    shares = [sum(one) / len(one) if one else None for one in (zero, few)]
    known = next(share for share in shares if share is not None)
    return InvertedShare(*(known if share is None else share for share in shares))


def _marked(wording: Wording, inverted: bool, tasks: tuple[str, ...]) -> Wording:
    """A wording with what follows from the other wordings of its key, and from the tasks: those of a whole
    submixture do not all have the same fields."""
    requires = (
        wording.fields - _EVERYWHERE if any(task.endswith("/*") for task in tasks) else frozenset[str]()
    )
    rationale = wording.rationale or (inverted and "rationale" in wording.fields)
    return replace(wording, inverted=inverted, rationale=rationale, requires=requires)


def _instruction(wrapper: str, fields: Mapping[str, str]) -> str:
    """What a few-shot wrapper puts above the exemplars, as a pattern: it is written for two rounds of
    filling, the exemplars in the second."""
    if not wrapper:
        return ""
    pattern = Pattern.parse(wrapper)
    head, mark, tail = pattern.fill(dict.fromkeys(pattern.fields, "")).partition("{inputs}")
    if not mark or tail or not {"final_suffix"}.issuperset(pattern.fields):
        raise ValueError("its `input_pattern` does not end in the exemplars")
    if "\n\n" in head.strip():
        raise ValueError("its `input_pattern` has several paragraphs above the exemplars")
    return _renamed(head.strip(), fields)


def _renamed(text: str, fields: Mapping[str, str]) -> str:
    pattern = Pattern.parse(text)
    names = [fields.get(name, name) for name in pattern.fields]
    named = [name if "{" in name else f"{{{name}}}" for name in names]
    literals = [_escaped(literal) for literal in pattern.literals]
    return literals[0] + "".join(name + literal for name, literal in zip(named, literals[1:], strict=True))


def _escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


def _target_fields(wording: Wording) -> set[str]:
    """The fields that the targets name, apart from the rationale; the rationale itself where there is no
    other."""
    named = set(wording.targets.fields)
    return named - {"rationale"} or named


def _anchors(lists: Iterable[tuple[bool, str, str, list[Wording]]]) -> dict[str, str]:
    """For each key the field that its direct templates ask for: `answer` if any does, else the one most of
    them do."""
    counts: dict[str, Counter[str]] = {}
    for _, _, key, wordings in lists:
        counts.setdefault(key, Counter()).update(
            name for one in wordings for name in sorted(_target_fields(one))
        )
    return {
        key: "answer" if "answer" in count or not count else count.most_common(1)[0][0]
        for key, count in counts.items()
    }


def _without_options(wording: Wording) -> Iterator[Wording]:
    """The form without the list of options, if the wording has one and anything is left to ask."""
    inputs = _PLACEHOLDER.sub("", wording.inputs.text).lstrip("\n")
    hidden = Pattern.parse(inputs)
    if wording.options and inputs.strip() and "options" not in hidden.fields:
        yield replace(
            wording, id=f"{wording.id}-hidden", inputs=hidden, requires=wording.requires - {"options"}
        )


def _set(
    tasks: tuple[str, ...], wordings: tuple[Wording, ...], inverted_share: InvertedShare | None
) -> WordingSet:
    fields = frozenset[str]().union(*(wording.fields for wording in wordings))
    return WordingSet(tasks, fields, wordings, inverted_share=inverted_share)


def _content_key(wording: Wording) -> tuple[object, ...]:
    return wording.inputs.text, wording.targets.text, wording.shots, wording.frame


def _slug(key: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
