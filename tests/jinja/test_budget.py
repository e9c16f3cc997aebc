"""What a text by others may cost, and that it always reads the same: comparisons, keys and tests of values
that are longer than they look, conversions of what has no text of its own, and environments with more
constructs than prompts have."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined, UndefinedError

from openflan.jinja.budget import Refused, Short
from openflan.jinja.environment import ChargedEnvironment, render
from openflan.randomness import Draws
from openflan.tasks.p3.sandbox import compiled

MOST = 200_000
"""Items and characters; a hundredth of what prompts have, so that the tests are quick."""

SECONDS = 5.0
"""Far more than a budget lasts on a slow machine; without one these texts would run for hours."""

# `a` and `b` are equal lists (or pairs) that hold 2 ** 40 numbers each, in 80 small lists.
DOUBLED = (
    "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(40) %}{% set n.a = [n.a, n.a] %}{% set "
    "n.b = [n.b, n.b] %}{% endfor %}"
)
PAIRED = (
    DOUBLED.replace("[1]", "(1,)").replace("[n.a, n.a]", "(n.a, n.a)").replace("[n.b, n.b]", "(n.b, n.b)")
)


def prompted(text: str, **values: Any) -> str:
    return compiled(text).render(values, Draws("test"), budget=MOST)


def wide(text: str, **values: Any) -> str:
    environment = ChargedEnvironment(
        undefined=StrictUndefined, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
    )
    return render(environment.from_string(text), values, budget=MOST)


@pytest.mark.parametrize(
    "text",
    [
        DOUBLED + "{% if n.a == n.b %}x{% endif %}",
        DOUBLED + "{% if n.a < n.b %}x{% endif %}",
        DOUBLED + "{% if 1 < 2 and 3 != n.a %}{% if n.b in [n.a] %}x{% endif %}{% endif %}",
        DOUBLED + "{{ 'x' if n.a is eq n.b else 'y' }}",
        DOUBLED + "{{ 'x' if n.a is in [[n.b]] else 'y' }}",
        DOUBLED + "{{ [n.a, n.b] | select('eq', n.b) | list | length }}",
        DOUBLED + "{{ [n.a, n.b] | sort | length }}",
        DOUBLED + "{{ [n.a, n.b] | max | length }}",
        DOUBLED + "{{ [n.a, n.b] | map('string') | list | length }}",
        DOUBLED + "{{ (n.a ~ n.b) | length }}",
        DOUBLED + "{{ ['x'] | map('replace', 'x', n.a) | list | length }}",
        PAIRED + "{{ {n.a: 1} | length }}",
        PAIRED + "{{ {1: 1}[n.a] }}",
        PAIRED + "{{ {1: 1}.get(n.a) }}",
        PAIRED + "{{ [n.a, n.b] | unique | list | length }}",
        PAIRED + "{{ [n.a, n.b] | most_frequent | length }}",
        PAIRED + "{{ [1, 2].index(n.a) }}",
        PAIRED + "{{ dict([(n.a, 1)]) | length }}",
        "{{ [[1] * 1000] * 20000 | sum(start=[]) }}",
        "{{ 'x' | replace('', 'y' * 4000) | replace('y', 'z' * 4000) | replace('z', 'w' * 4000) | length }}",
        "{% for i in range(4000000) %}{% for j in range(4000000) %}{% endfor %}{% endfor %}",
    ],
)
def test_values_that_are_longer_than_they_look_are_charged_before_they_are_read(text: str) -> None:
    began = time.process_time()
    with pytest.raises((Refused, ValueError)) as caught:
        prompted(text)
    assert isinstance(caught.value, Refused) or "TypeError" in str(caught.value)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        (
            "{% set ns = namespace(t='ab') %}{% for i in range(60) %}{% set x %}{{ ns.t }}{{ ns.t }}{% "
            "endset %}{% set ns.t = x %}{% endfor %}"
        ),
        "{% macro m(d) %}{% if d %}{{ m(d - 1) }}{{ m(d - 1) }}{% endif %}{% endmacro %}{{ m(200) }}",
        "{% for x in [1] recursive %}{{ loop([1, 2, 3]) }}{% endfor %}",
        "{% macro m() %}" + "x" * 10_000 + "{% endmacro %}{% for i in range(100000) %}{{ m() }}{% endfor %}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ ('\t' * 1000).expandtabs(10 ** 6) }}",
        "{{ ('x' * 10000).translate({120: 'y' * 10000}) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ ('{0}' * 1000).format('x' * 100000) }}",
        "{{ ('x\n' * 10000) | indent(100000) }}",
        "{{ [1] | tojson(indent=10 ** 9) }}",
        "{{ (1).to_bytes(10 ** 9) }}",
        "{% for x in range(10 ** 12) %}{% break %}{% endfor %}",
    ],
)
def test_macros_blocks_and_methods_that_prompts_lack_are_charged_too(text: str) -> None:
    began = time.process_time()
    with pytest.raises((Refused, RecursionError)):
        wide(text)
    assert time.process_time() - began < SECONDS


def test_what_texts_do_stays_far_below_the_budget() -> None:
    """The control: the same constructs over values of usual size."""
    small = DOUBLED.replace("range(40)", "range(3)")
    assert (
        prompted(small + "{{ n.a == n.b }} {{ [n.a, n.b] | sort == [n.b, n.a] }} {{ n.a in [n.b] }}")
        == "True True True"
    )
    assert prompted("{{ [[1], [2], [1]] | select('eq', [1]) | list }} {{ [1, 2] | sum }}") == "[[1], [1]] 3"
    assert (
        wide("{% macro m(d) %}{{ d }}{% if d %}{{ m(d - 1) }}{% endif %}{% endmacro %}{{ m(5) }}") == "543210"
    )
    assert (
        wide(
            "{% set x %}a{{ 'b' }}{% endset %}{{ x }}{{ [1, {'a': none}] | tojson }}{{ 'a\nb' | indent(2) }}"
        )
        == 'ab[1, {"a": null}]a\n  b'
    )
    assert (
        wide("{{ '{:>4}'.format(7) }}{{ 'x'.ljust(3) }}|{% for x in [3, 1] %}{{ x }}{% break %}{% endfor %}")
        == "   7x  |3"
    )


def test_a_budget_can_be_smaller() -> None:
    template = ChargedEnvironment().from_string("{% for x in range(n) %}y{% endfor %}")
    assert render(template, {"n": 50}, budget=1_000) == "y" * 50
    with pytest.raises(Refused, match="more than 1,000 items"):
        render(template, {"n": 500}, budget=1_000)


def test_filters_that_are_added_are_charged_as_well() -> None:
    environment = ChargedEnvironment()
    environment.filters["twice"] = lambda text: text * 2
    environment.globals["shout"] = lambda text: text.upper()
    assert render(environment.from_string("{{ 'ab' | twice }}{{ shout('x') }}"), {}) == "ababX"
    with pytest.raises(Refused):
        render(environment.from_string("{{ x | twice }}"), {"x": "y" * 30_000_000})


# What has no text of its own. Each is followed by every way of making a text of it.

THINGS = [
    "zip([1], [2])",
    "([1, 2] | map('string'))",
    "([1, 2] | select)",
    "([1, 2] | reject('eq', 1))",
    "([1, 2] | unique)",
    "([1, 2] | reverse)",
    "'text'.upper",
    "[1].index",
    "{'a': 1}.items",
    "range",
    "zip",
    "dict",
    "namespace",
    "namespace(a=1)",
    "{'text'.upper: 1}.keys()",
    "{1: zip([1])}.values()",
    "{1: zip([1])}.items()",
    "missing",
]
TO_TEXT = [
    "{{ X }}",
    "{{ X ~ '' }}",
    "{{ '' ~ X }}",
    "{{ X | string }}",
    "{{ [X] | string }}",
    "{{ {1: [X]} | string }}",
    "{{ [X] | join(',') }}",
    "{{ ['a', 'b'] | join(X) }}",
    "{{ [X] | map('string') | list }}",
    "{{ [[X]] | map('upper') | join }}",
    "{{ X | upper }}",
    "{{ X | title }}",
    "{{ X | trim }}",
    "{{ [X] | capitalize }}",
    "{{ X | truncate(300) }}",
    "{{ [X] | wordcount }}",
    "{{ X | replace('a', 'b') }}",
    "{{ 'a' | replace('a', X) }}",
    "{{ 'a' | replace('a', [X]) }}",
    "{{ X | lower | length }}",
    "{{ [X] }}",
]
ADDRESS = re.compile(r"0x[0-9a-f]+|object at|built-in|function", re.IGNORECASE)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("way", TO_TEXT)
def test_no_address_is_ever_printed(thing: str, way: str) -> None:
    text = way.replace("X", thing)
    for run in (prompted, wide):
        with contextlib.suppress(ValueError, UndefinedError):  # refused, or not defined
            assert not ADDRESS.search(run(text)), text


def test_some_of_these_are_printed_as_lists_and_the_others_are_refused() -> None:
    assert (
        prompted("{{ [1, 2] | map('string') | list }}{{ {'a': 1}.keys() }}{{ zip([1], [2]) | list }}")
        == "['1', '2']dict_keys(['a'])[(1, 2)]"
    )
    with pytest.raises(Refused, match=r"prints a zip, which is no value"):
        prompted("{{ zip([1], [2]) | string }}")
    with pytest.raises(Refused, match=r"prints a builtin_function_or_method"):
        prompted("{{ ['a', x.upper] | join }}", x="y")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "y", "1", "'a b'", "[x, y]", "(x, 1)", "{'k': x}", *THINGS]),
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "list",
                    "string",
                    "upper",
                    "length",
                    "join('-')",
                    "first",
                    "unique",
                    "sort",
                    "map('string')",
                    "reverse",
                    "sum",
                ]
            ),
        ).map(lambda pair: f"({pair[0]} | {pair[1]})"),
        st.tuples(inner, st.sampled_from(["==", "<", "in", "~", "+", "*", "and", "or"]), inner).map(
            lambda three: f"({' '.join(three)})"
        ),
        st.tuples(inner, st.sampled_from(["items", "upper", "keys", "split", "values"])).map(
            lambda pair: f"{pair[0]}.{pair[1]}()"
        ),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        inner.map(lambda one: f"[{one}, {one}]"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, VALUES, VALUES)
def test_any_text_reads_the_same_twice_or_fails_in_the_ways_that_are_promised(
    expression: str, x: Any, y: Any
) -> None:
    text = "{% for part in [1, 2] %}{{ " + expression + " }};{% endfor %}"

    def outcome() -> tuple[str, str]:
        kept = [object() for _ in range(50)]  # so that addresses differ
        try:
            return "text", prompted(text, x=x, y=y)
        except (ValueError, Short) as error:
            return type(error).__name__, ""
        finally:
            del kept

    first = outcome()
    assert first == outcome()
    assert not re.search(r"0x[0-9a-f]{6}", first[1]) or re.search(r"0x[0-9a-f]{6}", repr((x, y)))


def test_a_row_reads_the_same_in_another_process() -> None:
    code = (
        "from openflan.randomness import Draws\nfrom openflan.tasks.p3.sandbox import compiled\n"
        "text = \"{{ {'b': x, 'a': [x, 1.5, none]} }}{{ ['b', 'a', 'b'] | unique | list }}{{ x | choice "
        '}}{{ x.split() | most_frequent }}"\n'
        "print(compiled(text).render({'x': 'one two one'}, Draws('test')))"
    )
    outputs = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        outputs.add(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
            ).stdout
        )
    assert len(outputs) == 1
