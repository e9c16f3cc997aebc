"""What a model answered, found in a run folder by the name that a command gives: `runs/x`, `runs/x:LABEL`, or a file of generations.

Benchmark and mode are read from the lines, and from the file's name (`LABEL-BENCHMARK-MODE.jsonl`) where lines do not say; what stands behind the mode
tells files of one benchmark apart. Another split than the usual one has a folder of its own within the run's generations. Files of benchmarks that
have no rule here are named, not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.catalogue import BENCHMARKS, MODES, find_benchmark, find_mode
from openflan.evaluation.generations import read_generations
from openflan.evaluation.worlds import world_named
from openflan.run import Run
from openflan.tasks.microflan.names import BENCHMARKS as WORLDS
from openflan.tasks.microflan.names import world_benchmark

_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Place:
    """A file of one benchmark; `variant` is what its name has behind the mode, `split` is empty for the usual one."""

    path: Path
    benchmark: str
    mode: str
    variant: str
    split: str

    @property
    def component(self) -> str:
        return f"{self.benchmark}-{self.mode}{self.variant}" + (f"-{self.split}" if self.split else "")


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model's files by component (`bbh-cot`); `unknown` are files of benchmarks without a rule."""

    name: str
    files: Mapping[str, Place]
    unknown: Sequence[Path]


def saved_model(name: str, own: Sequence[Benchmark] = ()) -> SavedModel:
    """The files of `FOLDER[:LABEL]` or of one file; without a label the most trained model that has any. `own` are benchmarks beside the catalogue's.

    Raises InputError if there is no such folder, label or generation.
    """
    names = dict.fromkeys((*BENCHMARKS, *WORLDS, *(one.name for one in own)))
    path, label = (Path(name), None) if Path(name).exists() or ":" not in name else (Path(name.rpartition(":")[0]), name.rpartition(":")[2])
    if path.is_file():
        place = _place(path, names)[1]
        if place is None:
            listed = ", ".join(names)
            raise InputError(f"{path} is of no known benchmark: give its lines `benchmark` and `mode`, or name it LABEL-BENCHMARK-MODE.jsonl ({listed})")
        return SavedModel(name, {place.component: place}, [])
    if not path.is_dir():
        raise InputError(f"{path} is neither a run folder nor a file of generations; `paper:NAME` names a model of the paper")
    by_label: dict[str, list[tuple[Path, Place | None]]] = {}
    generations = Run(path).generations
    for file in sorted([*generations.glob("*.jsonl*"), *generations.glob("*/*.jsonl*")]):
        if file.name.endswith(_SUFFIXES):
            its_label, place = _place(file, names)
            by_label.setdefault(its_label, []).append((file, place))
    if not by_label:
        raise InputError(f"{path} holds no generations: evaluate its model with `openflan evaluate {path}`")
    if label is not None and label not in by_label:
        raise InputError(f"{path} holds no generations of `{label}`{did_you_mean(label, by_label) or '; it has ' + ', '.join(by_label)}")
    chosen = by_label[max(by_label, key=_trained) if label is None else label]
    known = {place.component: place for _, place in chosen if place is not None}
    return SavedModel(name, known, [file for file, place in chosen if place is None])


def benchmark_of(place: Place, own: Sequence[Benchmark] = ()) -> Benchmark:
    """The rule by which a file is judged."""
    for one in own:
        if (one.name, one.mode, one.split) == (place.benchmark, place.mode, place.split):
            return one
    if of_world := world_named(place.benchmark, find_mode(place.mode)):
        return of_world
    return find_benchmark(place.benchmark, place.mode, split=place.split or None)


def _place(path: Path, names: Iterable[str]) -> tuple[str, Place | None]:
    """Label, and where the file belongs; None for a benchmark that has no rule or cannot be told."""
    split = path.parent.name if path.parent.parent.name == "generations" else ""
    first = next((one for _, one in read_generations(path)), None)
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    another_world = [first.benchmark] if first is not None and first.benchmark and world_benchmark(first.benchmark) else []
    for benchmark in (*names, *another_world):
        for mode in MODES:
            said = first is not None and (first.benchmark, first.mode) == (benchmark, mode)
            silent = first is not None and (first.benchmark in (None, benchmark)) and (first.mode in (None, mode))
            label, named, variant = stem.rpartition(f"{benchmark}-{mode}")
            if named and silent:
                return label.removesuffix("-"), Place(path, benchmark, mode, variant, split)
            if said:
                return stem, Place(path, benchmark, mode, "", split)
    return (stem if first is None else stem.removesuffix(f"-{first.benchmark}-{first.mode}")), None


def _trained(label: str) -> tuple[int, int]:
    """Orders labels by how far their models are trained: the final one, steps, others, then untrained ones."""
    step = label.removeprefix("step-")
    if label == "final":
        return 3, 0
    if step != label and step.isdigit():
        return 2, int(step)
    return (0 if label in ("base", "random-init") else 1), int(label == "base")
