"""How long things take: the best of several rounds, their median, and the bytes that cross to a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from cem_rag_app.errors import SettingsError

Thing = TypeVar("Thing")

_WARM = 32


@dataclass(frozen=True, slots=True)
class Speed:
    """Things a second."""

    best: float
    """Of the fastest round: what the code can do."""
    median: float
    """Of the middle round: what it did, neighbours included."""


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Times the same work several times.

    Args:
        rounds: repetitions.
        clock: seconds.
    """

    rounds: int = 3
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise SettingsError(f"{self.rounds} rounds time nothing.", remedy="Take 1 or more.")

    def speed(self, work: Callable[[Sequence[Thing]], object], things: Sequence[Thing]) -> Speed:
        """Time ``work(things)``; a few of them first, unseen, so that loading and compiling do not count."""
        work(things[:_WARM])
        spent = []
        for _ in range(self.rounds):
            started = self.clock()
            work(things)
            spent.append(self.clock() - started)
        return Speed(len(things) / min(spent), len(things) / statistics.median(spent))


def one_by_one(work: Callable[[Sequence[Thing]], object]) -> Callable[[Sequence[Thing]], object]:
    """The same work, asked for each thing alone."""
    return in_batches(work, 1)


def in_batches(work: Callable[[Sequence[Thing]], object], size: int) -> Callable[[Sequence[Thing]], object]:
    """The same work, asked for ``size`` things at a time."""
    return lambda things: [work(things[start : start + size]) for start in range(0, len(things), size)]


@dataclass
class Moved:
    """Bytes that crossed between devices."""

    there: int = 0
    """From the processor's memory to the device's."""
    back: int = 0


@contextmanager
def count_moved_bytes() -> Iterator[Moved]:
    """Count what torch copies between devices within the block, in the thread that entered it.

    Counts the copies themselves, as torch dispatches them, and not what a profile of a device reports: so it is the
    same wherever it runs, and nothing where all work stays on the processor.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    moved = Moved()

    class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            source = {"_to_copy": 0, "copy_": 1}.get(name)
            if source is not None and isinstance(args[source], torch.Tensor):
                before, after = args[source].device.type, out.device.type
                size = out.numel() * out.element_size()
                moved.there += size if before == "cpu" != after else 0
                moved.back += size if before != "cpu" == after else 0
            return out

    with _Watch():  # type: ignore[no-untyped-call]
        yield moved
