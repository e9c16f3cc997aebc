"""A conversation with a chat model: each question is answered after the turns before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from openflan.api.load_model import LoadedModel
from openflan.inference.protocol import Completion, ShowText, Turn


@dataclass(slots=True)
class ChatSession:
    """A conversation with a model that has a chat template.

    `system` is a message to the model that stays before all turns. `turns` are the questions and answers so
    far, alternately. The other fields are those of `LoadedModel.generate`, for every answer.
    """

    model: LoadedModel
    system: str | None = None
    max_tokens: int = 128
    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0
    turns: list[Turn] = field(default_factory=list)

    def ask(
        self, question: str, show: ShowText, notice: Callable[[str], None] = lambda text: None
    ) -> Completion:
        """The answer to the next question; `show` is called with pieces of it while it is generated.

        Where the conversation no longer fits the model's context, its oldest turns are left out, which
        `notice` is told; a question that does not fit alone is answered with the finish `too-long`, and is
        not kept. Raises InputError for a model without a chat template where there are turns before the
        question.
        """
        first = [] if self.system is None else [Turn("system", self.system)]
        left_out = 0
        while True:
            answer = self.model.stream(
                question,
                show,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                top_k=self.top_k,
                seed=self.seed,
                before=[*first, *self.turns[left_out:]],
            )
            if answer.finish != "too-long" or left_out >= len(self.turns):
                break
            # A question and its answer.
            left_out += 2
        if answer.finish == "too-long":
            return answer
        if left_out:
            notice(f"the conversation no longer fits the model's context: {left_out} turns were left out")
            del self.turns[:left_out]
        self.turns += [Turn("user", question), Turn("assistant", answer.text)]
        return answer
