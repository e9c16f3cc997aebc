"""A model that can generate text: local weights or a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.api.options import LoadOptions
from openflan.embedded import EMBEDDED
from openflan.errors import InputError
from openflan.inference.http import HttpEngine, is_address
from openflan.inference.protocol import Completion, InferenceEngine, Request
from openflan.models.folder import check_model_name
from openflan.models.locate import Located, locate_model
from openflan.models.quiet import quiet_libraries
from openflan.run_folder import Run


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to generate.

    `name` is the argument of `load_model`. `located` is the folder, hub id or address that it means. `engine`
    is the inference engine, and `options` says how it was loaded.
    """

    name: str
    located: Located
    engine: InferenceEngine
    options: LoadOptions

    @property
    def run(self) -> Run | None:
        """The run folder that the model belongs to, if it belongs to one."""
        return self.located.run

    def generate(self, prompts: Sequence[str] | str, *, max_tokens: int = 128) -> list[Completion]:
        """One greedy completion for each prompt, in the order of the prompts.

        `max_tokens` is the most tokens of a completion. A completion has `text`, `tokens` (their number) and
        `finish`: `eos`, `stop`, `length`, or `too-long` for a prompt that does not fit the model's context.
        """
        texts = [prompts] if isinstance(prompts, str) else prompts
        completions = dict(self.engine.generate([Request(text, max_tokens) for text in texts]))
        return [completions[position] for position in range(len(texts))]


def load_model(model: str | Path, options: LoadOptions | None = None) -> LoadedModel:
    """Loads a run folder, a Hugging Face folder, a hub id, a bundled model (`embedded:microflan-tiny`), or
    connects to the address of a server.

    Local weights go to the GPU if there is one. Raises InputError for a model or checkpoint that does not
    exist, and for an incomplete or damaged folder. It is raised for options that do not fit the model, too.
    """
    options = options or LoadOptions()
    return open_located(str(model), locate(str(model), options), options)


def open_located(model: str, located: Located, options: LoadOptions) -> LoadedModel:
    """Loads the model that `locate` found; returns and raises what `load_model` does."""
    if is_address(located.name):
        if options.context is not None or options.dtype is not None:
            raise InputError(
                "`--context` and `--dtype` are settings of the server: set them where the server is started"
            )
        engine: InferenceEngine = HttpEngine(
            located.name,
            options.model_name or "",
            chat=options.chat,
            parallel=options.parallel,
            per_minute=options.per_minute,
        )
        return LoadedModel(model, located, engine, options)
    quiet_libraries()
    from openflan.inference.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine.load(
        located.name, context=options.context, chat=options.chat, dtype=options.dtype
    )
    return LoadedModel(model, located, engine, options)


def locate(model: str, options: LoadOptions) -> Located:
    """Finds a model, without loading it. Raises InputError for one that does not exist, and for a checkpoint
    or a model name that does not fit it."""
    if not is_address(model):
        if options.model_name is not None:
            raise InputError(
                f"`--model-name` names a model of a server, and {model} is not an address (http://...)"
            )
        located = locate_model(model, options.checkpoint)
        check_model_name(located.name)
        return located
    if options.checkpoint is not None:
        raise InputError(
            f"--checkpoint chooses a checkpoint of a run, and {model} is a server: name the server's "
            "model with `--model-name`"
        )
    if not options.model_name:
        raise InputError(f"{model} is a server: name the model with `--model-name`")
    return Located(model, "final", None)


def folder_name(model: str, model_name: str | None) -> str:
    """The name of a model's folder in `runs/`. Of a model, an adapter or a checkpoint of a run it begins with
    the name of the run, because these have the same names in every run."""
    if is_address(model):
        return (model_name or model).rstrip("/").rpartition("/")[2]
    path = Path(model)
    if path.is_dir():
        for run in path.resolve().parents[:2]:
            if Run(run).recipe.is_file():
                return "-".join([run.name, path.resolve().name])
    return path.name.removeprefix(EMBEDDED)
