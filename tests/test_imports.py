"""Who may import whom, and what importing must not cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import openflan

ROOT = Path(openflan.__file__).parent

FOUNDATION = {
    "deadline",
    "errors",
    "randomness",
    "json_files",
    "yaml_files",
    "jinja",
    "embedded",
    "hashes",
    "cache_folder",
}

# Room -> what it may import besides itself. A dotted name allows that one module of a room; as a key it is a
# room of its own, to which the rules of the room around it do not apply. Data flows down this table, imports
# point up.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "hashes": set(),
    "local_paths": set(),
    "reachable": {"errors"},
    "deadline": set(),
    "cache_folder": set(),
    "randomness": set(),
    "yaml_files": {"errors"},
    "json_files": {"errors"},
    # Budgets of texts by others; it raises errors of its own, as what they mean depends on the text.
    "jinja": set(),
    # The table of embedded sources; it names their packages as text and imports them when they are used.
    "embedded": {"errors"},
    # pandas, imported when a frame is made.
    "frames": {"errors"},
    "chat_template": {"errors"},
    "lock": {"errors"},
    # A run folder has a lock.
    "run_folder": {"errors", "lock", "json_files", "frames"},
    "stopping": {"errors"},
    "metrics": {"errors", "run_folder"},
    "downloads": {"errors", "hashes"},
    # Data of benchmarks as files; how they are evaluated is not known here.
    "benchmark_data": (FOUNDATION - {"jinja", "embedded"}) | {"downloads"},
    # A recipe names the benchmarks that it holds out.
    "recipe": {"errors", "yaml_files", "embedded", "benchmark_data"},
    # Of several processes that draw from a table one makes the copy, hence the lock.
    "tasks": FOUNDATION | {"lock"},
    "templates": FOUNDATION | {"tasks"},
    # The mixture is exported to files, hence the run's way of writing them whole; an export that was stopped
    # goes on.
    "mixture": FOUNDATION
    | {"benchmark_data", "recipe", "tasks", "templates", "run_folder", "lock", "stopping"},
    # A build is written to files, hence the run's way of writing them whole.
    "packing": FOUNDATION | {"tasks", "templates", "run_folder", "lock", "stopping", "chat_template"},
    "objectives": FOUNDATION | {"packing"},
    "models": FOUNDATION | {"recipe", "packing", "run_folder", "reachable"},
    # Programs that show curves; each is imported when a recipe names it.
    "tracking": {"errors", "recipe", "run_folder", "local_paths", "reachable"},
    "training": FOUNDATION
    | {
        "recipe",
        "tasks",
        "templates",
        "mixture",
        "packing",
        "objectives",
        "models",
        "run_folder",
        "lock",
        "metrics",
        "stopping",
        "tracking",
    },
    # Samples are drawn, hence the foundation's randomness. A prompt becomes ids by the same rule as what is
    # trained on.
    "inference": FOUNDATION | {"models", "packing.text_ids", "packing.message_form", "chat_template"},
    # Evaluation draws for its bootstrap, hence the foundation's randomness.
    "evaluation": FOUNDATION
    | {
        "benchmark_data",
        "tasks",
        "templates",
        "inference.protocol",
        # Saved answers hold thinking blocks too, in the spellings that engines find.
        "inference.thinking",
        "run_folder",
        "lock",
        "stopping",
        "frames",
    },
    # Reports show samples of held-out tasks, hence the Task type; how a task is worded or trained on is none
    # of their business.
    "reports": {"errors", "recipe", "run_folder", "metrics", "evaluation", "tasks.task"},
    # An embedded source, used through the table `embedded`: its rows need a task's type, its benchmarks
    # evaluation.
    "microflan.world": FOUNDATION | {"tasks.task", "tasks.digest", "tasks.records"},
    "microflan": FOUNDATION | {"microflan.world", "tasks", "templates", "evaluation"},
    # Public files onto a disk, where the readers of tasks find them, with a recipe that names them.
    "collection": FOUNDATION | {"downloads", "lock", "recipe", "tasks"},
    # A finished run goes to the hub: its files, and a card that says what they are.
    "publishing": FOUNDATION
    | {
        "recipe",
        "models",
        "evaluation",
        "packing.special_tokens",
        "run_folder",
        "local_paths",
        "reachable",
    },
    # Lists and checks of tasks, as people look at them.
    "task_reports": FOUNDATION | {"tasks", "templates", "microflan"},
    # The whole pipeline in one call, but no command line: that one calls it.
    "microflan.quickstart": FOUNDATION
    | {
        "microflan",
        "microflan.world",
        "recipe",
        "tasks",
        "templates",
        "mixture",
        "packing",
        "models",
        "training",
        "inference",
        "evaluation",
        "reports",
        "run_folder",
    },
    "microflan.quickstart_figure": FOUNDATION | {"reports.collection_figures"},
    # Random models that are trained and generate, to measure how fast.
    "speed": FOUNDATION | {"recipe", "packing", "models", "training", "inference"},
    # Runs as they lie in a folder: their locks, their steps and their scores.
    "run_list": {"errors", "json_files", "yaml_files", "lock", "run_folder", "evaluation"},
    # Between training and evaluation, which do not know each other.
    "training_evaluation": FOUNDATION | {"recipe", "models", "inference", "evaluation", "run_folder"},
    # Grids of what a user would do one by one: a recipe, its finetuning, its evaluations, a page.
    "studies": FOUNDATION
    | {
        "recipe",
        "tasks",
        "mixture",
        "models",
        "training",
        "inference",
        "evaluation",
        "reports",
        "run_folder",
        "lock",
        "metrics",
        "stopping",
    },
    # Steps of training one after another, as a user would start them, held-out scores included; it looks at
    # all of their data first.
    "run_chain": FOUNDATION
    | {"recipe", "tasks", "mixture", "models", "training", "tracking", "training_evaluation", "run_folder"},
    # What notebooks call, and what the command line calls; it prints nothing and must not import the latter.
    "api": FOUNDATION
    | {
        "recipe",
        "tasks",
        "templates",
        "task_reports",
        "mixture",
        "models",
        "training",
        "training_evaluation",
        "inference",
        "evaluation",
        "run_folder",
        "frames",
        "publishing",
    },
    "__main__": {"cli"},
}
ALLOWED["cli"] = set(ALLOWED) - {"__main__"}


def imported(source: str) -> set[str]:
    """Modules of openflan that a source names, without the package's name; `from openflan import x` counts as
    x."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where an import points"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("openflan.") for name in names if name.startswith("openflan.")}


def complaints(room: str, source: str) -> list[str]:
    """Imports of a source in `room` that the table does not allow. The version, the only name of the package
    itself, may be read by all."""
    allowed = ALLOWED[room] | {room, "__version__"}
    return sorted(
        name
        for name in imported(source)
        if not any(
            (name == entry or name.startswith(f"{entry}.")) and room_of(name) == room_of(entry)
            for entry in allowed
        )
    )


def sources() -> dict[str, Path]:
    return {
        str(path.relative_to(ROOT)): path
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / "__init__.py"
    }


def room_of(name: str) -> str:
    """The room of a module or source file: the longest key of the table that its dotted name begins with."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in ALLOWED), parts[0])


def test_imports_point_one_way() -> None:
    rooms = {name: room_of(name) for name in sources()}
    assert set(rooms.values()) <= set(ALLOWED), "a new room; state in ALLOWED what it may import"
    wrong = {
        name: complaints(rooms[name], path.read_text(encoding="utf-8")) for name, path in sources().items()
    }
    assert {name: modules for name, modules in wrong.items() if modules} == {}


def test_the_check_sees_imports_of_every_form() -> None:
    assert complaints("tasks", "from openflan.templates.render import Renderer") == [
        "templates.render.Renderer"
    ]
    assert complaints("tasks", "from openflan import templates") == ["templates"]
    assert complaints("tasks", "def late():\n    import openflan.mixture.rates") == ["mixture.rates"]
    assert complaints("evaluation", "from openflan.inference import HuggingFaceEngine") == [
        "inference.HuggingFaceEngine"
    ]
    assert (
        complaints(
            "evaluation",
            "from openflan.inference.protocol import Engine\nfrom openflan.evaluation import bbh",
        )
        == []
    )
    assert (
        complaints(
            "recipe", "from openflan.errors import InputError\nfrom openflan import __version__\nimport yaml"
        )
        == []
    )
    assert complaints("templates", "from openflan.runner import x") == ["runner.x"]
    assert complaints("microflan", "import openflan.microflan.quickstart") == ["microflan.quickstart"]
    assert complaints("tasks", "from openflan.microflan.world import world") == ["microflan.world.world"]


def test_the_table_has_no_circle() -> None:
    """Kahn's sorting: at every step some room must need only rooms that are already placed."""
    left, placed = (
        {room: {room_of(entry) for entry in allowed} for room, allowed in ALLOWED.items()},
        set[str](),
    )
    while left:
        ready = {room for room, needs in left.items() if needs <= placed}
        assert ready, f"a circle among {sorted(left)}"
        placed |= ready
        left = {room: needs for room, needs in left.items() if room not in ready}


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["openflan", "openflan.cli.main"])
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(' '.join(sorted(name.split('.')[0] for name in sys.modules)))"
    loaded = set(run_python(code).split())
    assert not loaded & {"torch", "transformers", "tokenizers", "pyarrow", "matplotlib", "datasets"}
    assert "openflan" in loaded


def test_the_heavy_libraries_would_be_seen() -> None:
    assert "pyarrow" in run_python("import sys, pyarrow; print(' '.join(sys.modules))").split()
