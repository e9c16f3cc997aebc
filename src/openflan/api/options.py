"""The options of the Python API. They import no library, so that they can be made before anything is
loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from openflan.errors import InputError
from openflan.models.device import check_device_name


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is found and loaded; `None` leaves the choice to openflan.

    - `checkpoint`: of a run folder `last` (the finetuned model, the default), `base`, or the number of a
      step.
    - `context`: the most tokens of a prompt; for a causal model, of a prompt and its generation together.
    - `dtype`: `float32` (the default up to 1.5 billion parameters) or `bfloat16`.
    - `chat`: whether each prompt is put into the model's chat template. By default a finetuned model gets the
      layout of its recipe; of other models `generate` uses the template if there is one, and benchmarks do
      not, because published protocols are plain.
    - `device`: `cuda`, `cuda:N`, `mps` or `cpu`; the default is a CUDA GPU if there is one, else MPS, else
      the CPU.
    - `model_name`: the model of a server, where the model is an address such as `http://localhost:8000/v1`.
    - `parallel`: calls to a server that run at the same time.
    - `per_minute`: the most calls to a server that start in one minute; 0 sets no limit.

    Raises InputError for a number below its minimum, and for a name that no device has.
    """

    checkpoint: str | None = None
    context: int | None = None
    dtype: str | None = None
    chat: bool | None = None
    device: str | None = None
    model_name: str | None = None
    parallel: int = 8
    per_minute: float = 0

    def __post_init__(self) -> None:
        _check_minimum("context", self.context, 1)
        _check_minimum("parallel", self.parallel, 1)
        _check_minimum("per_minute", self.per_minute, 0)
        check_device_name(self.device)


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How a model is evaluated; `None` leaves the choice to the benchmark.

    - `suite`: benchmarks to evaluate beside the named ones: `flan`, `reasoning` or `all`.
    - `mode`: `direct` asks for the answer, `cot` for a chain of thought first. A suite has modes of its own.
    - `data`: the folder that holds the benchmarks' files; for tasks, the file or folder with their rows.
      Without a benchmark and a suite, your own rows, which are evaluated.
    - `format`, `columns`: how your own rows are read, as `--format` and `--map` say it.
    - `label`: a name for this evaluation, which keeps it beside others of the same model.
    - `fetch`: download the benchmarks' public files if they are not in the cache; excludes `data`.
    - `limit`: evaluate the first `limit` rows of each task.
    - `subset`: names of the tasks to evaluate.
    - `shots`: exemplars in a prompt.
    - `split`: for MMLU, `validation` (the default) or `test`; for tasks of `data`, the split whose rows lie
      beside their training rows.
    - `max_tokens`: the most tokens of a generation, without its thinking block.
    - `thinking_tokens`: the most tokens of a thinking block; the default is four times `max_tokens`.
    - `extract`: how an answer is found after a chain of thought: `phrase` takes what follows the last answer
      phrase, `second-pass` asks the model for the answer (with `mode="cot"` and `shots=0`).
    - `samples`: generations per question; with more than one the majority decides (self-consistency).
    - `temperature`, `top_k`, `seed`: how samples are drawn. The defaults for several samples are those of the
      paper, 0.7 and 40; `top_k=0` draws from all tokens. One sample without a temperature is greedy.
    - `likelihood`: choose the option with the highest log-probability instead of generating text;
      `normalized` divides it by the number of tokens.
    - `bits_per_byte`: score the right answers instead of generating any.
    - `metric`: of tasks of `data`, another metric than their own, such as `rouge_l`.
    - `wordings`: `all` asks every question of the tasks of `data` with each wording that suits.
    - `run`: the folder for generations and scores. The default is the model's run folder, or `runs/NAME`.
    - `restart`: remove earlier generations for these benchmarks and this decoding.
    - `load`: how the model is loaded.

    Raises InputError for a number below its minimum.
    """

    suite: str | None = None
    mode: Literal["direct", "cot"] | str = "direct"
    data: Path | str | None = None
    format: str | None = None
    columns: Mapping[str, str] | str | None = None
    label: str | None = None
    fetch: bool = False
    limit: int | None = None
    subset: tuple[str, ...] | None = None
    shots: int | None = None
    split: str | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None
    extract: Literal["phrase", "second-pass"] | str = "phrase"
    samples: int = 1
    temperature: float | None = None
    top_k: int | None = None
    seed: int = 0
    likelihood: bool = False
    normalized: bool = False
    bits_per_byte: bool = False
    metric: str | None = None
    wordings: str | None = None
    run: Path | str | None = None
    restart: bool = False
    load: LoadOptions = field(default_factory=LoadOptions)

    def __post_init__(self) -> None:
        for name, minimum in (
            ("limit", 1),
            ("shots", 0),
            ("max_tokens", 1),
            ("thinking_tokens", 1),
            ("samples", 1),
            ("temperature", 0),
            ("top_k", 0),
        ):
            _check_minimum(name, getattr(self, name), minimum)
        if self.wordings not in (None, "all"):
            raise InputError(f"`--wordings {self.wordings}`: expected `all`")
        if isinstance(self.subset, str):
            raise InputError(
                f"subset is the text {self.subset!r}; expected names, such as ({self.subset!r},)"
            )


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """How a finetuning run treats its folder and its model.

    - `build`: the folder that `openflan build` made; the default is the run's own build, if there is one.
    - `strict`: raise InputError for a model that cannot train on packed sequences, instead of padding.
    - `restart`: remove the contents of the run folder, except its build, and start again.
    - `allow_changes`: continue from the newest checkpoint although the recipe or the data changed;
      `provenance.json` records the changes.
    - `fit`: the memory of a device, such as `24GB`: the recipe is changed as little as needed to fit into it
      by the estimate (smaller micro-batches, layers computed again, weights in bfloat16, an adapter).
    - `device`: `cuda`, `cuda:N`, `mps` or `cpu`; the default is a CUDA GPU if there is one, else MPS, else
      the CPU.

    Raises InputError for a name that no device has.
    """

    build: Path | str | None = None
    strict: bool = False
    restart: bool = False
    allow_changes: bool = False
    fit: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        check_device_name(self.device)


def _check_minimum(name: str, value: float | None, minimum: int) -> None:
    """Raises InputError for a value that is not a number of at least `minimum`."""
    if value is not None and not value >= minimum:
        raise InputError(f"{name} is {value}; expected a number of at least {minimum}")
