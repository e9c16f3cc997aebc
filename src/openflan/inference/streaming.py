"""The text of a generation, piece by piece, while it is generated."""

from __future__ import annotations

from openflan.inference.batching import Generation
from openflan.inference.ending import Ending
from openflan.inference.protocol import Completion, ShowText

_REPLACED = "\ufffd"
"""What a decoder writes for bytes that are no whole character yet."""


class TextStream:
    """Passes the text of one generation on as it grows. It keeps back what later tokens may change:
    characters of which only some bytes are there, and text that may be the beginning of a stop string."""

    def __init__(self, ending: Ending, show: ShowText) -> None:
        self._ending = ending
        self._show = show
        self._shown = ""

    def watch(self, generation: Generation) -> None:
        """Shows what a further token has added."""
        text = self._ending.text(generation.new).rstrip(_REPLACED)
        for mark in generation.request.stop:
            # The longest end of the text that is a beginning of the stop string.
            held = next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)
            text = text[: len(text) - held]
        self._show_up_to(text)

    def finish(self, completion: Completion) -> None:
        """Shows the rest of the text, with a thinking block before it as the model wrote it."""
        text = completion.text
        if completion.thinking is not None:
            written = self._ending.text(list(completion.ids))
            # The answer ends before its stop string.
            text = written[: written.rfind(text) + len(text)] if text else written
        self._show_up_to(text)

    def _show_up_to(self, text: str) -> None:
        if len(text) > len(self._shown) and text.startswith(self._shown):
            self._show(text[len(self._shown) :])
            self._shown = text
