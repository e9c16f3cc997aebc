"""How a person names a world: `embedded:microflan`, or another one, `embedded:microflan@SEED`, and for its
plain text a mix of kinds after that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError

WORLD = "embedded:microflan"
FORM = f"{WORLD}[@SEED]"

SHIPPED = 0
"""The seed of the world that the models in the box have read of."""

BENCHMARKS = ("microflan", "microflan-dev", "microflan-probes")
"""Benchmarks of a world: the test set, the set for choices, and what a base knows. `@SEED` after the name
asks about another world."""


@dataclass(frozen=True, slots=True)
class Place:
    """A world by its seed, and a mix of the kinds of its plain text; "" is the usual one."""

    seed: int = SHIPPED
    mix: str = ""


def world_place(name: str | Path) -> Place | None:
    """What `embedded:microflan[@SEED][/MIX]` names, None for a name that begins otherwise; raises InputError
    for a seed that is no number."""
    text = name if isinstance(name, str) else name.as_posix()
    head, _, mix = text.partition("/")
    bare, at, seed = head.partition("@")
    return Place(_number(text, seed) if at else SHIPPED, mix) if bare == WORLD else None


def world_benchmark(name: str) -> tuple[str, int] | None:
    """The benchmark and the seed of the world that `microflan-dev@7` names, None for any other; raises
    InputError for a seed that is no number."""
    bare, at, seed = name.partition("@")
    return (bare, _number(name, seed) if at else SHIPPED) if bare in BENCHMARKS else None


def named(benchmark: str, seed: int) -> str:
    """The inverse of `world_benchmark`; the shipped world goes without its seed."""
    return benchmark if seed == SHIPPED else f"{benchmark}@{seed}"


def _number(text: str, seed: str) -> int:
    if not seed.isascii() or not seed.isdigit():
        raise InputError(
            f"`{text}`: the seed of a world is a whole number from 0 on, such as {text.partition('@')[0]}@1"
        )
    return int(seed)
