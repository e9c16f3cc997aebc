"""The learning rate as a pure function of the step: nothing to save, nothing to restore, the same on every
rank.

The paper's is constant (Table 22), and so is the default.
"""

from __future__ import annotations

import math

from openflan.recipe.schema import Training


def learning_rate_at(training: Training, step: int) -> float:
    """The learning rate of the update that follows `step` finished ones, so 0 for the first.

    Warm-up rises in equal parts and reaches `learning_rate` with its last step, so that no step is wasted on
    a rate of 0. After it the rate is constant; or falls along a line or a half cosine that would reach 0 one
    step after the last; or with 1 / sqrt(step) from where warm-up ended.
    """
    peak, warmup, number = training.learning_rate, training.warmup_steps, step + 1
    if number <= warmup:
        return peak * (number / warmup)
    done = (step - warmup) / max(1, training.steps - warmup)
    match training.schedule:
        case "constant":
            return peak
        case "linear":
            return peak * max(0.0, 1.0 - done)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        case "rsqrt":
            return peak * math.sqrt(max(1, warmup) / number)
