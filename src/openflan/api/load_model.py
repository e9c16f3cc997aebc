"""A model that can generate text: local weights or a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.api.options import LoadOptions
from openflan.embedded import EMBEDDED
from openflan.errors import InputError
from openflan.inference.chat import answers_in_chat
from openflan.inference.http import HttpEngine, is_address
from openflan.inference.protocol import (
    Completion,
    InferenceEngine,
    Request,
    ShowText,
    StreamingEngine,
    Turn,
)
from openflan.models.folder import check_model_name, model_folder
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

    @property
    def answering(self) -> InferenceEngine:
        """The engine that `generate` and `stream` use: with the model's chat template if there is one, unless
        `options.chat` or the layout of a finetuned model says otherwise. Benchmarks use `engine`."""
        from openflan.inference.huggingface import HuggingFaceEngine

        if self.options.chat is None and isinstance(self.engine, HuggingFaceEngine):
            return self.engine.in_chat() if self._template_is_for_answers else self.engine
        return self.engine

    @property
    def answers_in_chat(self) -> bool:
        """Whether `generate` puts prompts into a chat template, so that it takes a system message and earlier
        turns."""
        return bool(getattr(self.answering, "chat", False))

    @property
    def has_unused_template(self) -> bool:
        """Whether the model has a chat template which benchmarks leave aside, because nothing asked for
        it."""
        plain = not getattr(self.engine, "chat", True)
        return self.options.chat is None and plain and self._template_is_for_answers

    @property
    def _template_is_for_answers(self) -> bool:
        return not is_address(self.located.name) and answers_in_chat(model_folder(self.located.name))

    def generate(
        self,
        prompts: Sequence[str] | str,
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int = 0,
        seed: int = 0,
        before: Sequence[Turn] = (),
    ) -> list[Completion]:
        """One completion for each prompt, in the order of the prompts. A chat model gets each prompt in its
        chat template (see `answering`).

        `max_tokens` is the most tokens of a completion. At `temperature` 0 it is greedy; above, a token is
        drawn from the `top_k` likeliest (0: from all), and the same `seed` draws the same text again.
        `before` are the turns of a conversation before each prompt, such as `Turn("system", "Answer in
        French.")`.

        A completion has `text`, `ids` (the generated tokens), `tokens` (their number) and `finish`: `eos`,
        `stop`, `length`, or `too-long` for a prompt that does not fit the model's context. Raises InputError
        for numbers that are out of range, and for turns where there is no chat template.
        """
        texts = [prompts] if isinstance(prompts, str) else prompts
        requests = [
            Request(text, max_tokens, temperature=temperature, top_k=top_k, seed=seed, before=tuple(before))
            for text in texts
        ]
        completions = dict(self.answering.generate(requests))
        return [completions[position] for position in range(len(texts))]

    def stream(
        self,
        prompt: str,
        show: ShowText,
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int = 0,
        seed: int = 0,
        before: Sequence[Turn] = (),
    ) -> Completion:
        """The completion of one prompt; `show` is called with each further piece of its text while it is
        generated, of a server with the whole text at the end. Parameters and errors are those of
        `generate`."""
        request = Request(
            prompt, max_tokens, temperature=temperature, top_k=top_k, seed=seed, before=tuple(before)
        )
        engine = self.answering
        if isinstance(engine, StreamingEngine):
            return engine.stream(request, show)
        ((_, completion),) = engine.generate([request])
        show(completion.text)
        return completion


def load_model(model: str | Path, options: LoadOptions | None = None) -> LoadedModel:
    """Loads a run folder, a Hugging Face folder, a hub id, a bundled model (`embedded:microflan-tiny`), or
    connects to the address of a server.

    Local weights go to the device of `options`, by default the GPU if there is one. Raises InputError for a
    model or checkpoint that does not exist, and for an incomplete or damaged folder. It is raised for options
    that do not fit the model, too.
    """
    options = options or LoadOptions()
    return open_located(str(model), locate(str(model), options), options)


def open_located(model: str, located: Located, options: LoadOptions) -> LoadedModel:
    """Loads the model that `locate` found; returns and raises what `load_model` does."""
    if is_address(located.name):
        if options.context is not None or options.dtype is not None or options.device is not None:
            raise InputError(
                "`--context`, `--dtype` and `--device` are settings of the server: set them where the server "
                "is started"
            )
        engine: InferenceEngine = HttpEngine(
            located.name,
            options.model_name or "",
            chat=bool(options.chat),
            parallel=options.parallel,
            per_minute=options.per_minute,
        )
        return LoadedModel(model, located, engine, options)
    quiet_libraries()
    from openflan.inference.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine.load(
        located.name,
        context=options.context,
        chat=options.chat,
        dtype=options.dtype,
        device=options.device,
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
