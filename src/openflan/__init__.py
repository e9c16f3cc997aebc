"""openflan: instruction finetuning after Chung et al. 2022, from tasks to a held-out evaluation.

The names below are the Python API. Each is imported when it is first used, so that `import openflan` loads no
library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openflan.api.chat_session import ChatSession
    from openflan.api.evaluate import evaluate
    from openflan.api.finetune import finetune, recipe_from_rows
    from openflan.api.load_model import LoadedModel, load_model
    from openflan.api.mixture import OpenMixture, open_mixture, render
    from openflan.api.options import EvaluateOptions, FinetuneOptions, LoadOptions
    from openflan.api.scores import Comparison, compare, score
    from openflan.errors import InputError, SetupError
    from openflan.evaluation.score_record import EvaluationScore
    from openflan.inference.protocol import Turn
    from openflan.recipe.load_recipe import load_recipe
    from openflan.recipe.schema import Recipe
    from openflan.run_folder import Run

__version__ = "0.1.0"

__all__ = [
    "ChatSession",
    "Comparison",
    "EvaluateOptions",
    "EvaluationScore",
    "FinetuneOptions",
    "InputError",
    "LoadOptions",
    "LoadedModel",
    "OpenMixture",
    "Recipe",
    "Run",
    "SetupError",
    "Turn",
    "__version__",
    "compare",
    "evaluate",
    "finetune",
    "load_model",
    "load_recipe",
    "open_mixture",
    "recipe_from_rows",
    "render",
    "score",
]

_MODULES = {
    "ChatSession": "api.chat_session",
    "Comparison": "api.scores",
    "EvaluateOptions": "api.options",
    "EvaluationScore": "evaluation.score_record",
    "FinetuneOptions": "api.options",
    "InputError": "errors",
    "LoadOptions": "api.options",
    "LoadedModel": "api.load_model",
    "OpenMixture": "api.mixture",
    "Recipe": "recipe.schema",
    "Run": "run_folder",
    "SetupError": "errors",
    "Turn": "inference.protocol",
    "compare": "api.scores",
    "evaluate": "api.evaluate",
    "finetune": "api.finetune",
    "load_model": "api.load_model",
    "load_recipe": "recipe.load_recipe",
    "open_mixture": "api.mixture",
    "recipe_from_rows": "api.finetune",
    "render": "api.mixture",
    "score": "api.scores",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"openflan.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
