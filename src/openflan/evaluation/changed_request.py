"""What changed between a question that was answered and the same question as it is asked now.

Each line of a file of generations has the settings of its request: the options of decoding and of the model
that a user may change. A file is continued only where all of them are as before; otherwise the error names
the option, with both values. Lines without settings, of version 0.1, tell only that something changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openflan.evaluation.decoding import THINKING
from openflan.evaluation.generations import Generation
from openflan.inference.protocol import LikelihoodRequest, Request

WEIGHTS = "weights"
"""The setting that stands for all that the fingerprint of a model covers."""

_ENGINE = ("dtype", "context", "chat")
_DIGITS = 16
_FLAGS = {"max_tokens": "--max-tokens", "thinking_tokens": "--thinking-tokens", "extract": "--extract"}
_FLAGS |= {"temperature": "--temperature", "top_k": "--top-k", "seed": "--seed"}
_FLAGS |= {name: f"--{name}" for name in _ENGINE}


def settings_of(request: Request | LikelihoodRequest, engine: Any) -> dict[str, Any]:
    """The settings of a request to an engine, as JSON values: `weights` (a hash), those of `dtype`, `context`
    and `chat` that the engine has, `max_tokens`, `thinking_tokens` where they are not the usual ones, and how
    tokens are drawn where they are. Answers of a second pass also have `extract`."""
    settings: dict[str, Any] = {WEIGHTS: str(engine.fingerprint)[:_DIGITS]}
    settings |= {name: getattr(engine, name) for name in _ENGINE if hasattr(engine, name)}
    if isinstance(request, LikelihoodRequest):
        return settings
    settings["max_tokens"] = request.max_tokens
    if request.thinking_tokens not in (0, THINKING * request.max_tokens):
        settings["thinking_tokens"] = request.thinking_tokens
    if request.temperature:
        settings |= {"temperature": request.temperature, "top_k": request.top_k, "seed": request.seed}
    return settings


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that differ, as text with both values: `--max-tokens 64, now 32`. Other weights are named
    only where nothing else explains another fingerprint."""
    changed = [
        f"`{flag}` {_shown(old)}, now {_shown(new)}" for flag, old, new in differing_options(before, now)
    ]
    of_engine = any(before.get(name) != now.get(name) for name in _ENGINE)
    if before.get(WEIGHTS) != now.get(WEIGHTS) and not of_engine:
        changed.append("the model's weights or its tokenizer")
    return changed


def differing_options(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The options that differ between two settings, each with its two values; None where it was not given.
    Weights are no option."""
    return [
        (flag, first.get(name), second.get(name))
        for name, flag in _FLAGS.items()
        if first.get(name) != second.get(name)
    ]


def change_of(held: Generation, now: Mapping[str, Any], prompt_hash: str) -> str:
    """What differs between an answered question and the same one now, as text; `prompt_hash` is that of the
    prompt now."""
    changed = [] if held.settings is None else changed_settings(held.settings, now)
    if held.prompt_hash is not None and held.prompt_hash != prompt_hash:
        changed.append("the prompt (other rows, wordings or exemplars)")
    if changed:
        return "; ".join(changed)
    return "the model, the prompt or an option of decoding" if held.settings is None else "its stop strings"


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
