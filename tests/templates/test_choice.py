"""Which wordings a recipe's `wordings:` gives a task: ours, the collection's own, both, or a user's."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.recipe.load_recipe import dump_recipe, load_recipe
from openflan.recipe.schema import Mixture, WordingsName
from openflan.tasks.p3.task_types import T0_TYPES, names_of_type
from openflan.tasks.task import Task
from openflan.templates.choice import (
    NAMES,
    choose_wordings,
    imported_folder,
    imported_wordings,
    known_wordings,
    wordings_files,
)
from openflan.templates.import_flan import import_flan
from openflan.templates.render import Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import READY_MADE, packaged_wordings

COT = frozenset({"question", "answer", "rationale"})
RTE = frozenset({"premise", "hypothesis", "options", "answer"})

TEMPLATES = r"""
PATTERNS = {
    "rte": [("<{premise}|{hypothesis}> {options_}", "<{answer}>"), ("Invent.", "<{premise}|{hypothesis}>")],
    "cot_gsm8k": [("<{question}> sums:", "<{chain_of_thought}> so <{answer}>")],
    "cot_input_inversion_gsm8k": [("<{chain_of_thought}> so <{answer}> of?", "<{question}>")],
    "natinst_v2": [("<{Definition}> <{input}>", "<{output}>")],
}
FEWSHOT_PATTERNS = {
    "rte": [FewShotPattern(inputs="<{premise}|{hypothesis}>", targets="<{answer}>",
                           inputs_prefix="I: ", targets_prefix="T: ",
                           x_y_delimiter="\n~\n", example_separator="\n\n\n")],
    "natinst_v2": [FewShotPattern(input_pattern="DO <{{Definition}}>\n{{inputs}}{final_suffix}",
                                  inputs="<{input}>", targets="<{output}>",
                                  inputs_prefix="I: ", targets_prefix="T: ",
                                  x_y_delimiter="\n", example_separator="\n\n")],
}
INLINE_FS_PATTERNS = {"natinst_v2": [("<{Definition}> such as {ex_input}: <{input}>", "<{output}>")]}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, empty."""
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "wordings" / "flan"


@pytest.fixture
def imported(tmp_path: Path, cache: Path) -> Path:
    _import(tmp_path / "FLAN", cache, TEMPLATES)
    return cache


def _import(checkout: Path, folder: Path, templates: str) -> None:
    (checkout / "flan/v2").mkdir(parents=True, exist_ok=True)
    (checkout / "flan/v2/templates.py").write_text(templates)
    (checkout / "flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}")
    import_flan(checkout, folder)


def _task(name: str, *fields: str) -> Task:
    def row(index: int) -> dict[str, str | list[str]]:
        return {
            name: [f"option{index}", "other"]
            if name == "options"
            else f"option{index}"
            if name == "answer"
            else f"{name}{index}"
            for name in fields
        }

    return Task(name, [row(number) for number in range(6)], frozenset(fields), "made up", "made up")


def _ids(choice: WordingsName | Path | None, task: str, fields: frozenset[str]) -> set[str]:
    return {one.id for one in choose_wordings(choice, task, fields).wordings}


def test_original_openflan_and_both(imported: Path) -> None:
    original, ours = _ids("original", "cot/gsm8k", COT), _ids("openflan", "cot/gsm8k", COT)
    assert original == {"flan-cot-gsm8k-zero-0", "flan-cot-input-inversion-gsm8k-zero-0"}
    assert len(ours) >= 10
    assert original.isdisjoint(ours)
    assert _ids("both", "cot/gsm8k", COT) == original | ours
    assert _ids(None, "cot/gsm8k", COT) == ours


def test_both_is_what_there_is_where_one_side_has_none(
    imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tuple(found for found in packaged_wordings() if not found.covers("muffin/rte"))
    monkeypatch.setattr("openflan.templates.choice.packaged_wordings", lambda: without)
    assert _ids("both", "muffin/rte", RTE) == _ids("original", "muffin/rte", RTE)
    assert _ids("both", "cot/creak", COT) == _ids("openflan", "cot/creak", COT)


@pytest.mark.parametrize("choice", ["original", "both"])
def test_an_empty_cache_is_refused_with_the_command_that_fills_it(choice: WordingsName, cache: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            rf"cot/gsm8k: no original wordings were imported into {cache}; `openflan wordings import --flan "
            r"DIR`"
        ),
    ):
        choose_wordings(choice, "cot/gsm8k", COT)


def test_a_task_that_the_collection_does_not_word_is_refused(imported: Path) -> None:
    with pytest.raises(
        InputError,
        match="cot/creak: the collection has no wording for rows with the fields answer, question, rationale",
    ):
        choose_wordings("original", "cot/creak", COT)


@pytest.mark.parametrize("choice", ["original", "openflan", "both"])
@pytest.mark.parametrize("filled", [False, True])
def test_rows_that_are_already_worded_need_no_other_wording(
    choice: WordingsName, filled: bool, cache: Path, tmp_path: Path
) -> None:
    if filled:
        _import(tmp_path / "FLAN", cache, TEMPLATES)
    assert choose_wordings(choice, "muffin/rte", READY_MADE.fields) is READY_MADE


def test_wordings_for_fields_that_the_rows_lack_are_passed_over(imported: Path) -> None:
    assert _ids("original", "niv2/task001_x", frozenset({"definition", "question", "answer"})) == {
        "flan-natinst-v2-zero-0",
        "flan-natinst-v2-few-0",
    }
    assert "flan-natinst-v2-inside-0" in _ids(
        "original", "niv2/task001_x", frozenset({"definition", "question", "answer", "positive_input"})
    )


def test_a_second_import_is_seen_at_once(imported: Path, tmp_path: Path) -> None:
    before = wordings_files("original", "cot/gsm8k")[0].read_bytes()
    _ids("original", "cot/gsm8k", COT)
    _import(tmp_path / "FLAN", imported, TEMPLATES.replace("sums:", "tally:"))
    os.utime(imported / "cot/gsm8k.yaml", ns=(1, 1))
    assert "tally" in choose_wordings("original", "cot/gsm8k", COT).wordings[0].inputs.text
    assert wordings_files("original", "cot/gsm8k")[0].read_bytes() != before, "a run's fingerprint sees it"


def test_which_files_a_choice_reads(imported: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    assert wordings_files(mine, "cot/gsm8k") == [mine]
    assert wordings_files("both", "cot/gsm8k") == [imported / "cot/gsm8k.yaml"]
    assert wordings_files("openflan", "cot/gsm8k") == wordings_files(None, "cot/gsm8k") == []
    assert len(wordings_files(imported, "cot/gsm8k")) == 3


def test_a_file_or_a_folder_of_ones_own_comes_before_the_packaged_wordings(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    own = (
        "tasks: [cot/gsm8k]\nfields: [question, answer]\nwordings: [{id: mine, inputs: '{question}', "
        "targets: '{answer}'}]\n"
    )
    (folder / "a.yaml").write_text(own)
    for choice in (folder, folder / "a.yaml"):
        assert "mine" in _ids(choice, "cot/gsm8k", COT)
        assert "steps-asked-after" not in _ids(choice, "cot/gsm8k", COT)
        assert "mine" not in _ids(choice, "cot/creak", COT)
    (folder / "a.yaml").unlink()
    with pytest.raises(InputError, match=r"mine: holds no \*\.yaml file"):
        choose_wordings(folder, "cot/gsm8k", COT)
    with pytest.raises(InputError, match=r"orignal: no such wordings file; did you mean `original`\?"):
        choose_wordings(tmp_path / "orignal", "cot/gsm8k", COT)


def test_few_shot_originals_keep_their_own_prefixes_delimiters_and_separators(imported: Path) -> None:
    task = _task("muffin/rte", "premise", "hypothesis", "options", "answer")
    example = Renderer(task, choose_wordings("original", task.name, task.fields)).render(
        0, Style(few_shot=True, options=False), 0, 0, shots=1
    )
    (other,) = example.exemplars
    assert example.inputs == (
        f"I: <premise{other}|hypothesis{other}>\n~\nT: <option{other}>\n\n\nI: <premise0|hypothesis0>\n~\nT:"
    )
    assert example.targets == "<option0>"


def test_the_instruction_of_the_originals_stands_once_where_that_is_asked_for(imported: Path) -> None:
    task = _task("niv2/task001_x", "definition", "question", "answer")
    renderer = Renderer(task, choose_wordings("original", task.name, task.fields))
    example = renderer.render(0, Style(few_shot=True, instruction="top"), 0, 0, shots=2)
    assert example.inputs.startswith("DO <definition0>\n\nI: <question")
    assert example.inputs.count("definition") == 1
    assert example.inputs.endswith("\n\nI: <question0>\nT:")


@pytest.mark.parametrize("name", ["cot/gsm8k", "muffin/rte", "niv2/task001_x"])
def test_originals_show_what_is_given_and_never_what_is_asked(name: str, imported: Path) -> None:
    fields = set[str]().union(
        *(
            wording.fields
            for choice, wording_set in known_wordings(name)
            if choice == "original"
            for wording in wording_set.wordings
        )
    )
    task = _task(name, *sorted(fields))
    renderer = Renderer(task, choose_wordings("original", name, task.fields))
    seen = set()
    for position, style in enumerate(list(ALL_STYLES) * 3):
        example = renderer.render(0, style, 0, position)
        seen.add(example.wording)
        last = example.inputs.rpartition("I: ")[2]
        if "question" in fields and not example.style.inverted:
            assert "question0" in last
        marked = re.findall(r"<(.*?)>", example.targets)
        assert marked, example.targets
        assert all(f"<{text}>" not in last for text in marked)
    assert len(seen) >= 2


def test_a_recipe_names_a_choice_or_a_path(tmp_path: Path, cache: Path) -> None:
    recipe = tmp_path / "r.yaml"
    text = (
        "name: r\nmodel: {base: x}\ntraining: {steps: 1}\nmixture: {submixtures: {cot: {wordings: "
        "WORDINGS}}}\n"
    )
    for written, meant in [(name, name) for name in get_args(WordingsName)] + [
        ("mine.yaml", tmp_path / "mine.yaml"),
        ("./original", tmp_path / "original"),
    ]:
        recipe.write_text(text.replace("WORDINGS", str(written)))
        loaded = load_recipe(recipe)
        assert loaded.mixture.submixtures["cot"].wordings == meant
        (tmp_path / "again.yaml").write_text(dump_recipe(loaded))
        assert load_recipe(tmp_path / "again.yaml") == loaded
    assert (
        load_recipe(recipe, ["mixture.submixtures.cot.wordings=both"]).mixture.submixtures["cot"].wordings
        == "both"
    )
    for wrong in ("[original]", "{a: b}", "7"):
        recipe.write_text(text.replace("WORDINGS", wrong))
        with pytest.raises(
            InputError,
            match=(
                r"r.yaml:4: `mixture.submixtures.cot.wordings`: expected original, openflan, both, or the "
                r"path"
            ),
        ):
            load_recipe(recipe)


def test_the_recipe_and_the_templates_know_the_same_choices() -> None:
    assert set(get_args(WordingsName)) == set(NAMES)


def test_a_mixture_is_built_with_the_wordings_that_were_chosen(imported: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/gsm8k_train.tsv").write_text(
        "".join(f"q{number}\t{number}\tr{number}\n" for number in range(8))
    )
    for choice in ("original", "openflan"):
        mixture = Mixture.model_validate(
            {"submixtures": {"cot": {"data": str(tmp_path / "data"), "wordings": choice}}}
        )
        stream = build_stream(mixture, open_tasks(mixture), seed=0)
        assert all(
            stream[position].wording.startswith("flan-") == (choice == "original") for position in range(20)
        )


def test_the_cache_is_the_users_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert imported_folder() == cache
    assert imported_wordings() == ()
    monkeypatch.delenv("OPENFLAN_CACHE")
    assert imported_folder() == Path.home() / ".cache/openflan/wordings/flan"


def test_known_wordings_are_found_by_full_and_bare_name(imported: Path) -> None:
    wordings = known_wordings("cot/gsm8k")
    assert wordings == known_wordings("gsm8k")
    assert list(dict.fromkeys(choice for choice, _ in wordings)) == ["original", "openflan"]
    for choice in ("original", "openflan"):
        listed = [one.id for name, part in wordings if name == choice for one in part.wordings]
        assert len(set(listed)) == len(listed)
        assert set(listed) == _ids(choice, "cot/gsm8k", COT), "what is listed is what a mixture takes"
    assert len(known_wordings()) == len(packaged_wordings()) + 4
    with pytest.raises(InputError, match=r"gsm8: no packaged or imported wordings; did you mean `gsm8k`\?"):
        known_wordings("gsm8")


def test_the_example_in_the_documentation_is_a_valid_file(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "wordings.md").read_text(encoding="utf-8")
    first, second, third = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(first, encoding="utf-8")
    ids = _ids(
        tmp_path / "mine.yaml", "mine/quiz-1", frozenset({"question", "answer", "rationale", "options"})
    )
    assert ids == {"plain", "listed", "thinking-aloud", "guess-the-riddle", "framed"}
    submixtures = Mixture.model_validate(yaml.safe_load(second)["mixture"]).submixtures
    assert [one.wordings for one in submixtures.values()] == ["both", "original", Path("mine.yaml")]
    released = Mixture.model_validate(yaml.safe_load(third)["mixture"]).submixtures
    assert {(one.styles.inverted, one.styles.shots) for one in released.values()} == {("release", "release")}


T0_TEMPLATES = """
PATTERNS = {
    "t0_question_answer": [("QA {question}", "{answer}"), ("Ask {question}", "{answer}")],
    "t0_multiple_choice_separated_options": [("SEP {question} {options_}", "{answer}")],
}
PATTERNS["t0_multiple_choice"] = PATTERNS["t0_question_answer"]
FEWSHOT_PATTERNS = {
    "t0_question_answer": [FewShotPattern(inputs="qa {question}", targets="{answer}")],
    "t0_multiple_choice": [FewShotPattern(inputs="mc {question}", targets="{answer}")],
    "t0_multiple_choice_separated_options": [
        FewShotPattern(inputs="sep {question} {options_}", targets="{answer}"),
    ],
}
"""


def test_each_task_of_t0_wears_the_templates_of_its_own_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,101 of 2,574 question-answer examples once wore another type's."""
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "FLAN/flan/v2").mkdir(parents=True)
    (tmp_path / "FLAN/flan/v2/templates.py").write_text(T0_TEMPLATES)
    (tmp_path / "FLAN/flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}")
    import_flan(tmp_path / "FLAN", imported_folder())
    plain = frozenset({"inputs", "targets", "question", "answer"})
    words = {
        "t0_question_answer": {"QA", "Ask", "qa"},
        "t0_multiple_choice": {"QA", "Ask", "mc"},
        "t0_multiple_choice_separated_options": {"SEP", "sep"},
    }
    for kind in T0_TYPES:
        fields = plain | {"options"} if "separated" in kind else plain
        for name in names_of_type(kind):
            chosen = choose_wordings("original", f"t0_sf/{name}", fields)
            assert {one.inputs.text.split()[0] for one in chosen.wordings} == words[kind], name
    assert sum(len(names_of_type(kind)) for kind in T0_TYPES) == 193
    copied = choose_wordings("original", "t0_sf/zs_opt", frozenset({"inputs", "targets"}))
    assert copied is READY_MADE, "rows that others rendered stay as they are"
