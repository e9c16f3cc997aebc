"""What a chat template makes of a mixture's conversations, for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openflan.mixture.stream import Stream
from openflan.packing.chat_examples import conversation_counts
from openflan.packing.encode import Encoder


def conversations_of(stream: Stream, encoder: Encoder) -> dict[str, Any]:
    """Plain values: whether the template `ends_turns`, whether answers follow its whole generation prompt
    (`prompt_is_learned_from`), and `tasks` with the `rows` that are conversations and
    the `examples` that they become, of those tasks where a row may be several. Empty in other layouts."""
    chat = encoder.tokenize.chat
    if chat is None:
        return {}
    counts = {entry.task.name: conversation_counts(entry.task) for entry in stream.entries}
    return {
        "learn": chat.learn,
        "ends_turns": chat.ends_turns,
        "prompt_is_learned_from": chat.prompt_is_learned_from,
        "tasks": {
            name: {"rows": count.rows, "examples": count.examples}
            for name, count in counts.items()
            if count is not None
        },
    }


def conversation_lines(values: Mapping[str, Any]) -> list[str]:
    """Lines for the user; `values` are those of `conversations_of`, or empty."""
    lines = []
    tasks = values.get("tasks", {})
    if tasks:
        rows, examples = (sum(counts[side] for counts in tasks.values()) for side in ("rows", "examples"))
        lines.append(
            f"{rows:,} rows become {examples:,} examples, one for each turn that is learned, as the chat "
            "template writes a turn otherwise once messages follow it (packing.learn=last: one for each row)"
        )
    if not values.get("ends_turns", True):
        lines.append(
            "the chat template writes nothing behind a conversation's last turn, so the model does not learn "
            "to stop there; add its end token to the template"
        )
    if not values.get("prompt_is_learned_from", True):
        lines.append(
            "the generation prompt of the chat template goes on otherwise than a turn without thinking (it "
            "opens the thinking), so such turns do not teach the prompt that is served; learn turns with "
            "thinking, or serve with thinking switched off"
        )
    return lines
