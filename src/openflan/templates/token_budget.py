"""How many exemplars fit: the tokens that the inputs of a few-shot example may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """The greatest length of a few-shot example's inputs, exemplars with their targets included: `tokens`,
    as counted by `measure`."""

    tokens: int
    measure: Callable[[str], int]


def pruned_inputs(
    top: str, exemplars: list[str], final: str, separator: str, token_budget: TokenBudget | None
) -> tuple[str, int]:
    """The few-shot inputs with as many of `exemplars`, from the first, as fit, and their number.

    The joined text is measured: separators have tokens too, and the tokens of parts do not add up.
    """
    for kept in range(len(exemplars), 0, -1):
        inputs = top + separator.join([*exemplars[:kept], final])
        if fits(inputs, token_budget):
            return inputs, kept
    return final, 0


def fits(inputs: str, token_budget: TokenBudget | None) -> bool:
    """Whether the inputs take no more tokens than they may; None allows any number."""
    return (
        token_budget is None
        or _most_tokens(inputs) <= token_budget.tokens
        or token_budget.measure(inputs) <= token_budget.tokens
    )


def _most_tokens(text: str) -> int:
    """A number of tokens that a text hardly ever exceeds: one for each byte, and two special tokens."""
    return len(text.encode()) + 2
