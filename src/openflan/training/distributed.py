"""The processes that train together: one, or as many as `torchrun` started.

Under several the model is sharded by FSDP2 over all of them, or, on machines of as many devices each, by
HSDP: sharded within a machine, replicated over machines, so that only gradients go over the network. Price: a
model must fit into one machine's devices. Every rank knows the whole plan, so ranks agree on batches without
a word; what they exchange is gradients, gathered weights and a few sums. What only one of them should do, or
one can fail at, goes over a group of its own (`run_on_main`, `on_all_ranks`), so that all of them end with
the same error.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from openflan.errors import OpenflanError, SetupError
from openflan.lock import Held
from openflan.models.device import choose_device
from openflan.run_folder import Run, check_alone, training_alone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DistributedContext:
    """This process's place among those that train together.

    `control_group` is a group over gloo for messages. A group matches messages by their order alone, so each
    thread needs its own: `saving_group` is that of the thread that writes checkpoints (`for_saver`).
    """

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh | None = None
    control_group: dist.ProcessGroup | None = None
    saving_group: dist.ProcessGroup | None = None

    @property
    def for_saver(self) -> DistributedContext:
        """The same processes, with the messages of the thread that writes checkpoints."""
        return self if self.saving_group is None else replace(self, control_group=self.saving_group)

    @property
    def main(self) -> bool:
        """True on the rank that writes files and prints (rank 0)."""
        return self.rank == 0

    def share(self, rows: int) -> tuple[int, int]:
        """This rank's rows of a batch of `rows`: neighbours, as even as can be."""
        return rows * self.rank // self.size, rows * (self.rank + 1) // self.size

    def most(self, rows: int) -> int:
        """The most rows of a batch that any rank has."""
        return -(-rows // self.size)

    def all_reduce_sum(self, values: Iterable[float]) -> list[float]:
        """Each value summed over the ranks, in float64."""
        numbers = torch.tensor(
            list(values), dtype=torch.float64, device=self.device if self.device.type == "cuda" else "cpu"
        )
        if self.size > 1:
            dist.all_reduce(numbers)
        sums: list[float] = numbers.tolist()
        return sums

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()

    def run_on_main(self, get: Callable[[], T]) -> T:
        """What `get` gives on the main rank, which alone calls it; what it raises there is raised on all."""
        if self.size == 1:
            return get()
        mine: tuple[Any, Exception | None] = _tried(get) if self.main else (None, None)
        sent = [(mine[0], _conveyed(mine[1]))]
        dist.broadcast_object_list(sent, src=0, group=self.control_group)
        value, error = mine if self.main else sent[0]
        if error is not None:
            raise error
        found: T = value
        return found

    @contextmanager
    def alone_in(self, run: Run) -> Iterator[Callable[[], None]]:
        """These processes train in the run folder and no others do; raises InputError on all of them where
        others are at work.

        Gives a check for the main rank, which raises SetupError once the folder or its lock is no longer
        theirs.
        """
        locks: list[Held] = []
        with ExitStack() as stack:
            self.run_on_main(lambda: locks.append(stack.enter_context(training_alone(run))))

            def check() -> None:
                for held in locks:
                    check_alone(run, held)

            yield check

    def on_all_ranks(self, do: Callable[[], T]) -> list[T]:
        """What `do` gives on each rank, once it is done on all; what it raises on one is raised on all."""
        if self.size == 1:
            return [do()]
        value, error = _tried(do)
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, (value, _conveyed(error)), group=self.control_group)
        failed = error or next((error for _, error in found if error is not None), None)
        if failed is not None:
            raise failed
        return [value for value, _ in found]


PATIENCE = timedelta(hours=1)
"""How long ranks wait for one another; NCCL's ten minutes are short for a main rank that writes a checkpoint
of tens of gigabytes."""
_DAYS = timedelta(days=7)
"""The same where each works through its share by itself, and shares take as long as they take."""

_LOOKS, _PAUSE = 200, 0.01
"""How often, and after how many seconds each, `leave_distributed` looks whether the threads of groups have
ended."""

_Cached = type(cache(len))
"""The class of a function with a cache of `functools`."""

SINGLE_PROCESS = DistributedContext(0, 1, torch.device("cpu"))


def join_distributed(device: str | None = None) -> DistributedContext:
    """This process's world: that of `torchrun`, else a world of one, on `device` (see `models.device`), by
    default a GPU if there is one. Several processes train on CUDA GPUs or on the CPU.

    Raises InputError for a device that is not here, and SetupError if the ranks do not find each other.
    """
    chosen = choose_device(device)
    cuda = chosen.type == "cuda"
    if cuda:
        # Products that sum in one order, which fused attention asks for before it does so itself; read once,
        # when cuBLAS is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        if chosen.index is not None:
            torch.cuda.set_device(chosen)
        return DistributedContext(0, 1, chosen)
    own_device = _meet(size, "cpu:gloo,cuda:nccl" if cuda else "gloo", PATIENCE, cuda=cuda)
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    if 1 < local_size < size and size % local_size == 0:
        mesh = init_device_mesh(
            own_device.type, (size // local_size, local_size), mesh_dim_names=("replicate", "shard")
        )
    else:
        mesh = init_device_mesh(own_device.type, (size,), mesh_dim_names=("shard",))
    groups = [dist.new_group(timeout=PATIENCE, backend="gloo") for _ in range(2)]
    distributed = DistributedContext(dist.get_rank(), size, own_device, mesh, *groups)
    _joined.append(distributed)
    return distributed


def join_request_sharing() -> DistributedContext:
    """Join processes that each have a whole model and share requests. They exchange messages only, over
    gloo, and wait for one another for days.

    On GPUs each has its own from then on. The world's device is the CPU, where the words are.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS
    _meet(size, "gloo", _DAYS, cuda=torch.cuda.is_available())
    return DistributedContext(dist.get_rank(), size, torch.device("cpu"))


def _meet(size: int, backend: str, patience: timedelta, *, cuda: bool) -> torch.device:
    """Joins the process group; gives this process's device, which is chosen for all that follows."""
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    try:
        if not dist.is_initialized():
            dist.init_process_group(backend, timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise SetupError(
            f"the {size} processes of this run do not find each other: {error}; start them with torchrun"
        ) from error
    return device


_joined: list[DistributedContext] = []
"""The worlds that `join_distributed` made, whose groups `leave_distributed` takes from them."""


def leave_distributed() -> None:
    """Ends the process group, if there is one, with its threads; contexts that were joined have no groups
    from then on.

    The threads of a gloo group end with the last reference to the group, not with `destroy_process_group`.
    Three things refer to it: the context's mesh and control group, a sharded model, and the caches in which
    DTensor keeps, for the whole process, how it shards each operation (each entry holds the mesh). A thread
    that releases a tensor while Python is being torn down aborts the process, which generation right before
    the end makes likely.
    """
    if not dist.is_initialized():
        return
    dist.destroy_process_group()
    for distributed in _joined:
        for name in ("mesh", "control_group", "saving_group"):
            object.__setattr__(distributed, name, None)
    _joined.clear()
    _clear_dtensor_caches()
    # Sharded modules and what shards them refer to each other.
    gc.collect()
    # A model that is still held, by the traceback of an error for instance, keeps its group: the group's
    # threads get the time to release what they hold.
    for _ in range(_LOOKS):
        if not gloo_threads():
            break
        time.sleep(_PAUSE)


def _clear_dtensor_caches() -> None:
    """Empties DTensor's caches, whose keys hold meshes. Only private functions of torch do it: the ones that
    this version of torch lacks are passed over."""
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.distributed.tensor"):
            for value in vars(module).values():
                if isinstance(value, _Cached):
                    value.cache_clear()
    from torch.distributed.tensor import _redistribute, debug

    for owner, function in (
        (debug, "_clear_sharding_prop_cache"),
        (_redistribute, "clear_redistribute_planner_cache"),
    ):
        if clear := getattr(owner, function, None):
            clear()


def gloo_threads() -> int:
    """Threads of gloo groups in this process; 0 also where the system does not tell (it is no Linux)."""
    names = []
    for path in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # it has just ended
            names.append(path.read_text(encoding="utf-8"))
    return sum(name.startswith("pt_gloo") for name in names)


def shard(
    root: nn.Module, layers: Iterable[nn.Module], distributed: DistributedContext, *, bf16: bool
) -> None:
    """Shards each of `layers`, then what is left of `root`; gradients are summed over ranks and divided by
    their number.

    With `bf16` weights are gathered in bfloat16 and gradients reduced in float32.
    """
    policy = (
        MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        if bf16
        else MixedPrecisionPolicy()
    )
    # Layers of transformers return views, which would matter if something were added to them in place; none
    # of these models does that.
    warnings.filterwarnings(
        "ignore", message=r"FSDP2-wrapped module \(.*\) returned a view tensor", category=UserWarning
    )
    settings: dict[str, Any] = {"mesh": distributed.mesh, "mp_policy": policy}
    for layer in layers:
        fully_shard(layer, **settings)
    fully_shard(root, **settings)
    for module in sharded_modules(root):
        # gloo knows no average; the division is done by FSDP itself.
        module.set_force_sum_reduction_for_comms(True)


def shard_for_generation(model: Any, distributed: DistributedContext) -> None:
    """Shards a Hugging Face model that is only to generate, for one that does not fit on a device.

    Every rank must call `model.generate`, each with its own prompts and `synced_gpus=True`, as layers are
    gathered by all ranks together.
    """
    names = set(model._no_split_modules or ())
    shard(
        model,
        [module for module in model.modules() if type(module).__name__ in names],
        distributed,
        bf16=False,
    )
    register_fsdp_forward_method(model, "generate")


@contextmanager
def gathered(root: nn.Module) -> Iterator[None]:
    """All weights of a sharded `root` whole on every rank, for as long as the context lasts; of one that is
    not sharded, nothing changes.

    For what calls the modules by another way than `root`'s forward. Every rank must enter it; weights must
    not be changed in it.
    """
    modules = sharded_modules(root)
    for module in modules:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        for number, module in enumerate(modules):
            # FSDP's own default: the root, which comes first, stays whole after its forward, as the backward
            # begins with it.
            module.set_reshard_after_forward(number > 0, recurse=False)
            module.reshard()


def _tried(do: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return do(), None
    except Exception as error:
        return None, error


def _conveyed(error: Exception | None) -> Exception | None:
    """The error as another process can read it."""
    if error is None or isinstance(error, OpenflanError):
        return error
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror) if error.errno else OSError(str(error))
    return OpenflanError(f"another process of this run failed: {type(error).__name__}: {error}")


def sharded_modules(root: nn.Module) -> list[FSDPModule]:
    """What `shard` has sharded, `root` first."""
    return [module for module in root.modules() if isinstance(module, FSDPModule)]
