"""The data and models that come with openflan: a table of embedded sources, and the names that users write.

`embedded:NAME[@SEED][/MIX]` names data, `BENCHMARK[@SEED]` a benchmark, `embedded:MODEL` a bundled model.

Every other room reads this table and names no source. Decision: the code of a source lies in a package of its
own, above the rooms that use it. It is named here as text and imported at its first use (`load_part`).
Price: a type checker does not follow that import. The protocols of `tasks/embedded_rows.py` and
`evaluation/embedded_benchmarks.py` say what a source must offer.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from openflan.errors import InputError

EMBEDDED = "embedded:"
"""The prefix of a name in a recipe or on the command line that means: it comes with openflan."""


@dataclass(frozen=True, slots=True)
class EmbeddedSource:
    """What one source offers, by the names that users write.

    `package` lies below `openflan`. It holds the modules `tasks_and_texts` (what to train on) and
    `benchmarks`, and the folder `bundled` with one folder for each model. `submixtures` are the names under
    which a recipe trains on its rows. `dev_benchmarks` pairs the name of a test set with that of its
    development set. `seed` is that of the data which the bundled models were trained on.
    """

    name: str
    package: str
    submixtures: tuple[str, ...]
    benchmarks: tuple[str, ...]
    dev_benchmarks: tuple[tuple[str, str], ...] = ()
    seed: int = 0

    @property
    def data_form(self) -> str:
        """How its data are named, for messages: `embedded:NAME[@SEED]`."""
        return f"{EMBEDDED}{self.name}[@SEED]"

    @property
    def bundled(self) -> Path:
        """The folder that holds a folder for each of its models."""
        return Path(str(files("openflan") / self.package / "bundled"))

    def load_part(self, part: str) -> ModuleType:
        """Imports and returns a module of its package, such as `benchmarks`."""
        return import_module(f"openflan.{self.package}.{part}")


MICROFLAN = EmbeddedSource(
    name="microflan",
    package="microflan",
    submixtures=("microflan", "microflan_text"),
    benchmarks=("microflan", "microflan-dev", "microflan-probes"),
    dev_benchmarks=(("microflan", "microflan-dev"),),
)
"""A small world of people, places, words and numbers (docs/microflan.md)."""

SOURCES = (MICROFLAN,)
"""All embedded sources. To add one: an entry here, and a package that offers what `EmbeddedSource` says."""

EMBEDDED_SUBMIXTURES = tuple(name for source in SOURCES for name in source.submixtures)
EMBEDDED_BENCHMARKS = tuple(name for source in SOURCES for name in source.benchmarks)


@dataclass(frozen=True, slots=True)
class EmbeddedData:
    """The data of a source that one seed gives; `mix` is a mix of kinds of its plain text, "" the usual
    one."""

    source: EmbeddedSource
    seed: int
    mix: str = ""

    @property
    def label(self) -> str:
        """`NAME` or `NAME@SEED`; the seed of the bundled models is left out."""
        return self.source.name if self.seed == self.source.seed else f"{self.source.name}@{self.seed}"


@dataclass(frozen=True, slots=True)
class EmbeddedBenchmark:
    """A benchmark of a source about the data of one seed."""

    source: EmbeddedSource
    benchmark: str
    seed: int

    @property
    def label(self) -> str:
        """The inverse of `parse_benchmark`: `microflan-dev` or `microflan-dev@7`."""
        return self.benchmark if self.seed == self.source.seed else f"{self.benchmark}@{self.seed}"

    @property
    def data(self) -> EmbeddedData:
        """The data that it tests."""
        return EmbeddedData(self.source, self.seed)

    @property
    def dev_label(self) -> str:
        """The label of the development set that stands beside a test set; its own label for any other."""
        dev_name = dict(self.source.dev_benchmarks).get(self.benchmark, self.benchmark)
        return EmbeddedBenchmark(self.source, dev_name, self.seed).label


def parse_data(name: str | Path) -> EmbeddedData | None:
    """What `embedded:NAME[@SEED][/MIX]` names; None for a name of any other form, or of no source.

    Raises InputError for a seed that is no whole number.
    """
    text = name if isinstance(name, str) else name.as_posix()
    head, _, mix = text.partition("/")
    bare, at, seed = head.partition("@")
    for source in SOURCES:
        if bare == EMBEDDED + source.name:
            return EmbeddedData(source, _parse_seed(text, seed) if at else source.seed, mix)
    return None


def parse_benchmark(name: str) -> EmbeddedBenchmark | None:
    """The benchmark that `BENCHMARK[@SEED]` names, such as `microflan-dev@7`; None if no source has it.

    Raises InputError for a seed that is no whole number.
    """
    bare, at, seed = name.partition("@")
    for source in SOURCES:
        if bare in source.benchmarks:
            return EmbeddedBenchmark(source, bare, _parse_seed(name, seed) if at else source.seed)
    return None


def source_of_submixture(name: str) -> EmbeddedSource | None:
    """The source whose rows are trained on under this submixture's name; None if there is none."""
    return next((source for source in SOURCES if name in source.submixtures), None)


def bundled_models() -> dict[str, Path]:
    """The folders of all bundled models, by the name that users write (`embedded:MODEL`)."""
    return {EMBEDDED + model: folder for model, (_, folder) in sorted(_models().items())}


def source_of_model(name: str) -> EmbeddedSource | None:
    """The source whose data the bundled model `embedded:MODEL` was trained on; None for any other name."""
    model = _models().get(name.removeprefix(EMBEDDED)) if name.startswith(EMBEDDED) else None
    return model[0] if model else None


def _models() -> dict[str, tuple[EmbeddedSource, Path]]:
    return {
        folder.name: (source, folder)
        for source in SOURCES
        for folder in source.bundled.iterdir()
        if folder.is_dir()
    }


def _parse_seed(text: str, seed: str) -> int:
    if not seed.isascii() or not seed.isdigit():
        raise InputError(
            f"`{text}`: the seed of a world is a whole number from 0 on, such as {text.partition('@')[0]}@1"
        )
    return int(seed)
