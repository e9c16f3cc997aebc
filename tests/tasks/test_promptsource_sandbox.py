"""Promptsource templates run in a sandbox: what is refused, and what stops."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptsource_files import one, rendered

from openflan.errors import InputError
from openflan.jinja.budget import WORK, Refused, Short
from openflan.randomness import Draws
from openflan.tasks.p3.sandbox import Missing, compiled

ESCAPES = [
    ("{{ ''.__class__.__mro__ }}", "reads `__mro__`"),
    ("{{ cycler.__init__.__globals__ }}", "reads `__globals__`"),
    ("{{ x['__class__'] }}", "reads `__class__`"),
    ("{{ x['__cl' ~ 'ass__'] }}", "'__class__' of 'str' object is unsafe"),
    ("{{ x | attr('__class__') }}", "filter `attr`"),
    ("{{ [x] | map(attribute='__class__') | list }}", "unsafe|names"),
    ("{{ '{0.__class__}'.format(x) }}", "calls something"),
    ("{% set f = x.format %}{{ f(x) }}", "calls something"),
    ("{{ lipsum() }}", "calls something"),
    ("{{ namespace.__init__ }}", "reads `__init__`"),
    ("{{ dict.mro() }}", "calls something"),
    ("{% include 'x' %}", "uses `include`"),
    ("{% import 'x' as y %}", "uses `import`"),
    ("{% extends 'x' %}", "uses `extends`"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "uses `macro`"),
    ("{% set a %}{{ x }}{% endset %}", "uses `assignblock`"),
    ("{% for a in items recursive %}{{ loop(items) }}{% endfor %}", "recursive loop|calls something"),
    ("{{ items.append(1) }}", "calls something"),
    ("{{ self }}", "prints a TemplateReference"),
    ("{{ range }}", "prints a function"),
    ("{{ items | map('upper') }}", "prints a generator"),
]

FLOODS = [
    "{{ range(1000000000) | list }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    (
        "{% for a in range(10000) %}{% for b in items | map('upper') %}{% for c in range(1000) %}{% "
        "endfor %}{% endfor %}{% endfor %}"
    ),
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{% set a = x %}" + "{% set a = a ~ a %}" * 60,
    "{% set a = x %}" + "{% set a = a + a %}" * 60,
    "{% set a = items %}" + "{% set a = a + a %}" * 60,
    "{% set a = x %}" + "{% set a = [a, a] | join %}" * 60,
    "{% set a = x %}" + "{% set a = ''.join([a, a]) %}" * 60,
    "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
    "{{ [[['a' * 1000] * 1000] * 1000] * 1000 }}",
    "{{ [[['a' * 1000] * 1000] * 1000] | join }}",
    "{% set a = 'a ' * 4000000 %}" + "".join(f"{{% set b{number} = a.split() %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}" + "".join(f"{{% set b{number} = a[1:] %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}" + "".join(f"{{% set b{number} = a | upper %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}{% set b = [" + "a, " * 2_000 + "] %}{{ b | map('upper') | list | length }}",
    "{% set a = 'a' * 4000000 %}{% set b = ["
    + "a, " * 2_000
    + "] %}{{ b | select | map('upper') | list | length }}",
    "{{ '%1000000000s' % x }}",
    "{{ 10 ** 100000 }}",
    "{{ 1.5 | round(100000000, 'ceil') }}",
    "{% for a in range(100000) %}" + "a" * 1_000 + "{% endfor %}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
]


@pytest.mark.parametrize(("text", "told"), ESCAPES)
def test_what_reaches_for_python_is_refused(text: str, told: str) -> None:
    with pytest.raises((Refused, Missing), match=told):
        rendered(text, x="text", items=["a", "b"])


@pytest.mark.parametrize("text", FLOODS, ids=range(len(FLOODS)))
def test_what_would_run_away_is_stopped(text: str) -> None:
    start = time.process_time()
    with pytest.raises(Refused):
        rendered(text, x="text", items=["a", "b"])
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }} ||| x",
        "{{ cycler.__init__.__globals__ }} ||| x",
        "{{ range(1000000000) | list }} ||| x",
    ],
)
def test_a_template_that_is_refused_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"templates\.yaml, template `t`.* is refused: it (reads `__|loops over or builds more than "
            r"20,000,000)"
        ),
    ):
        one(tmp_path, text, [{"x": 1}])


def test_choices_are_in_the_sandbox_too(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"template `t`: its `answer_choices` is refused: it reads `__class__`"
    ):
        one(tmp_path, "Q ||| x", [{"x": 1}], answer_choices="{{ x.__class__ }}")


def test_the_budget_is_for_one_row_and_leaves_room_for_long_ones() -> None:
    program = compiled("{% for a in range(n) %}{{ x }}{% endfor %}")
    for _ in range(2):
        assert len(program.render({"n": 20, "x": "y" * (WORK // 25)}, Draws(0))) == 20 * (WORK // 25)
    with pytest.raises(Refused):
        program.render({"n": 26, "x": "y" * (WORK // 25)}, Draws(0))


def test_values_of_a_record_cannot_be_changed() -> None:
    record = {"items": ["a"]}
    with pytest.raises(Refused):
        rendered("{{ items.append('b') }}", **record)
    assert record == {"items": ["a"]}


def test_what_is_not_defined_may_be_asked_for() -> None:
    assert (
        rendered("{{ y | default('none') }}{{ 'no' if y is not defined }}{{ x.y | d(1) }}", x={}) == "noneno1"
    )


def test_an_item_beyond_the_end_is_told_from_a_missing_name() -> None:
    for text in ("{{ x[3] }}", "{{ x.3 }}", "{{ 'ab'[5] }}", "{{ [] | choice }}"):
        with pytest.raises(Short):
            rendered(text, x=["a"])
    for text in ("{{ y }}", "{{ x.y }}", "{{ {'a': 1}['b'] }}"):
        with pytest.raises(Missing):
            rendered(text, x=["a"])


@given(st.text(st.sampled_from("{}%|()[]'\"._ x1+*~-=iforsetnd\n"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_renders_or_is_refused_in_our_words(text: str) -> None:
    with contextlib.suppress(ValueError, Short):
        rendered(text, x=["a", {"b": "c"}])


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in x %}" * 25 + "{% endfor %}" * 25,
        "{{ 9[1:] }}",
        "{{ " + "9" * 5_000 + " }}",
        "{{ x | nosuch }}",
        "{% for",
    ],
)
def test_texts_that_cannot_be_compiled_are_refused_in_our_words(text: str) -> None:
    with pytest.raises(
        ValueError,
        match=(
            "not a text that Python can run|fails|digits|filter `nosuch`|not valid Jinja|TypeError|not "
            "subscriptable"
        ),
    ):
        rendered(text, x=["a"])


def test_escapes_that_need_none_are_kept_as_public_templates_have_them() -> None:
    assert rendered(r"{{ x | join(' \|\| ') }}", x=["a", "b"]) == r"a \|\| b"
