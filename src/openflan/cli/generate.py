"""`openflan generate`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from openflan.api.chat_session import ChatSession
from openflan.api.load_model import LoadedModel, locate, open_located
from openflan.api.options import LoadOptions
from openflan.cli.output import print_json
from openflan.errors import InputError
from openflan.inference.chat import answers_in_chat, check_template
from openflan.inference.http import is_address
from openflan.inference.protocol import Completion, Turn
from openflan.models.device import HELP as DEVICE_HELP
from openflan.models.folder import model_folder
from openflan.models.locate import Located
from openflan.models.quiet import quiet_libraries


@dataclass(frozen=True, slots=True)
class _Asking:
    """How prompts are answered; see `LoadedModel.generate`."""

    max_tokens: int
    temperature: float
    top_k: int
    seed: int
    system: str | None

    @property
    def before(self) -> list[Turn]:
        return [] if self.system is None else [Turn("system", self.system)]


def generate(
    model: str = typer.Argument(
        help=(
            "A run folder, a Hugging Face folder, a hub id, or the address of a server, http://HOST:PORT/v1."
        )
    ),
    prompt: str | None = typer.Argument(
        None, help="The prompt. Without it, the command reads prompts from the terminal."
    ),
    file: Path | None = typer.Option(None, help="A text file with one prompt per line. It replaces PROMPT."),
    max_tokens: int = typer.Option(128, min=1, help="The maximum number of tokens of a generation."),
    chat: bool | None = typer.Option(
        None,
        "--chat/--no-chat",
        help=(
            "Put each prompt into the model's chat template, or do not. Default: a run gets the layout of "
            "its recipe; another model gets its chat template if it has one."
        ),
    ),
    system: str | None = typer.Option(
        None, help="A message to a chat model that comes before the prompts, such as 'Answer in French.'"
    ),
    temperature: float = typer.Option(
        0.0, min=0, help="The temperature of sampling. 0 is greedy: always the likeliest token."
    ),
    top_k: int = typer.Option(
        0, min=0, help="With --temperature: sample from this number of likeliest tokens. 0 means all tokens."
    ),
    seed: int = typer.Option(0, help="With --temperature: the seed. The same seed gives the same text."),
    device: str | None = typer.Option(None, help=DEVICE_HELP),
    checkpoint: str | None = typer.Option(
        None, help="If MODEL is a run: `last` (the default), `base`, or the number of a step."
    ),
    model_name: str | None = typer.Option(
        None, help="If MODEL is a server: the name of the model there. `--chat` sends prompts as messages."
    ),
    as_json: bool = typer.Option(
        False,
        "--json",
        help="Print one JSON value on standard output: a list of prompts and their generations.",
    ),
) -> None:
    """Generate text: for one prompt, for a file of prompts, or for prompts from the terminal.

    Text is greedy unless `--temperature` is given, and is printed while it is generated. A chat model gets
    its chat template, and keeps the conversation when prompts come from the terminal.

    Examples: `openflan generate runs/mine "Is the sky green? Explain, then answer."`, `openflan generate
    HuggingFaceTB/SmolLM2-135M-Instruct --system "Answer in one sentence."`
    """
    if prompt is not None and file is not None:
        raise InputError("give either a prompt or --file, not both")
    if prompt is None and file is None and as_json:
        raise InputError("--json needs a prompt or --file")
    prompts = _prompts(file) if file else [prompt] if prompt is not None else None
    asking = _Asking(max_tokens, temperature, top_k, seed, system)
    loaded = _loaded(
        model, LoadOptions(checkpoint=checkpoint, chat=chat, device=device, model_name=model_name), system
    )
    if prompts is None:
        _converse(loaded, asking)
    elif as_json:
        print_json([_described(text, answer) for text, answer in _answers(loaded, prompts, asking)])
    elif len(prompts) == 1:
        _print_stream(loaded, prompts[0], asking)
    else:
        for text, answer in _answers(loaded, prompts, asking):
            _note_too_long(text, answer)
            typer.echo(answer.text)


def _loaded(model: str, options: LoadOptions, system: str | None) -> LoadedModel:
    """The model. What can be wrong with its template or with `system` is found before its weights are
    loaded."""
    located = locate(model, options)
    if not is_address(located.name):
        _check_chat(located, options, system)
    elif system is not None and not options.chat:
        raise InputError(
            "`--system` is a message: add `--chat`, which sends prompts to the server as messages"
        )
    return open_located(model, located, options)


def _check_chat(located: Located, options: LoadOptions, system: str | None) -> None:
    """Raises InputError for a template that fails, and for a system message without a template."""
    folder = model_folder(located.name)
    if answers_in_chat(folder) if options.chat is None else options.chat:
        quiet_libraries()
        from openflan.models.load_model import tokenizer_of

        check_template(tokenizer_of(str(folder)), located.name, system)
    elif system is not None:
        raise InputError(
            f"{located.name}: `--system` needs a chat template, and its prompts are plain: leave `--system` "
            "out, and write what it says into the prompt"
        )


def _answers(loaded: LoadedModel, prompts: list[str], asking: _Asking) -> list[tuple[str, Completion]]:
    completions = loaded.generate(
        prompts,
        max_tokens=asking.max_tokens,
        temperature=asking.temperature,
        top_k=asking.top_k,
        seed=asking.seed,
        before=asking.before,
    )
    return list(zip(prompts, completions, strict=True))


def _described(prompt: str, answer: Completion) -> dict[str, object]:
    return {
        "prompt": prompt,
        "generation": answer.text,
        "tokens": answer.tokens,
        "finish": answer.finish,
        "ids": list(answer.ids),
    }


def _print_stream(loaded: LoadedModel, prompt: str, asking: _Asking) -> None:
    """Prints an answer while it is generated."""
    answer = loaded.stream(
        prompt,
        _show,
        max_tokens=asking.max_tokens,
        temperature=asking.temperature,
        top_k=asking.top_k,
        seed=asking.seed,
        before=asking.before,
    )
    _note_too_long(prompt, answer)
    typer.echo()


def _show(piece: str) -> None:
    typer.echo(piece, nl=False)
    sys.stdout.flush()


def _note_too_long(prompt: str, answer: Completion) -> None:
    if answer.finish == "too-long":
        typer.echo(f"(the prompt does not fit the model's context: {prompt[:60]}...)", err=True)


def _prompts(file: Path) -> list[str]:
    from openflan.tasks.lines import Lines

    lines = Lines(file)
    return [line for line in (lines[index] for index in range(len(lines))) if line.strip()]


def _converse(loaded: LoadedModel, asking: _Asking) -> None:
    """Prompt after prompt until an empty line or the end of the input. A chat model keeps the conversation;
    for any other each prompt stands alone."""
    session = (
        ChatSession(loaded, asking.system, asking.max_tokens, asking.temperature, asking.top_k, asking.seed)
        if loaded.answers_in_chat
        else None
    )
    if sys.stdin.isatty():
        each = "one conversation" if session is not None else "each by itself"
        typer.echo(f"One prompt a line, {each}; an empty line ends.", err=True)
    while True:
        if sys.stdin.isatty():
            typer.echo("> ", nl=False, err=True)
        line = sys.stdin.readline().rstrip("\n")
        if not line.strip():
            return
        if session is None:
            _print_stream(loaded, line, asking)
            continue
        _note_too_long(line, session.ask(line, _show, lambda text: typer.echo(f"({text})", err=True)))
        typer.echo()
