"""Where a run computes: one process or several (accelerate), and in which precision."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from cem_rag_app.cem.training.config import Precision
from cem_rag_app.errors import MissingDependencyError

if TYPE_CHECKING:
    from accelerate import Accelerator

_NEEDED = ("accelerate", "matplotlib")


def start_accelerator(device: str) -> Accelerator:
    """The process's place among those that train together; alone where nothing was launched.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"Training needs {' and '.join(missing)}.", remedy='Install the extra: pip install "cem-rag[train]".'
        )
    from accelerate import Accelerator, InitProcessGroupKwargs

    # The others wait while the first process asks the teacher, which takes longer than torch waits by itself.
    patience = InitProcessGroupKwargs(timeout=timedelta(days=1))
    # Precision and accumulation are the loop's: `Objective` autocasts, and parts of a step are cut by `loop`.
    return Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[patience])


def resolve_precision(wished: Precision, device: torch.device) -> torch.dtype:
    """What ``auto`` means on a device: bfloat16 where it has instructions for it, float32 elsewhere.

    On a CPU these are AMX tiles or AVX-512 BF16; without them bfloat16 is emulated and slower than float32.
    """
    if wished != "auto":
        return torch.bfloat16 if wished == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        can = torch.cpu.get_capabilities()
        fast = bool(can.get("amx_bf16") or can.get("avx512_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def give_back_memory() -> None:
    """Return what is free to the operating system, where the C library would keep it.

    Batches differ in size from step to step, and glibc's heap grows between tensors that do not fit into the
    holes of earlier ones: by gigabytes over thousands of steps on a CPU.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
