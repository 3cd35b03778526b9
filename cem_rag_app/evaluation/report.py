"""The envelope of every ``--json`` report: what was measured, how, with what, and where.

The four keys are kept from release to release, since other programs read them; see ``docs/evaluation.md``.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PACKAGES = ("cem-rag", "numpy", "zstandard", "numba", "torch", "transformers", "faiss-cpu", "faiss-gpu", "PyStemmer")


class Machine(BaseModel):
    """Where a figure was taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str = Field(description="Operating system and its release.")
    processor: str = Field(description="Processor as the system names it.")
    cores: int = Field(description="Cores this process may use.")
    memory_gb: float = Field(description="Physical memory in GiB.")


def versions() -> dict[str, str]:
    """Return Python's version and those of the installed packages that move a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed is no fault
    return found


def machine() -> Machine:
    """Describe this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=cores,
        memory_gb=round(memory / 2**30, 1),
    )


class Report(BaseModel):
    """One evaluation or benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: dict[str, Any] = Field(description="The figures; keys by command, see docs/evaluation.md.")
    settings: dict[str, Any] = Field(description="Everything needed to run it again.")
    versions: dict[str, str] = Field(default_factory=versions, description="Package to version.")
    machine: Machine = Field(default_factory=machine)

    def to_json(self) -> str:
        """Return the report as indented JSON with Chinese kept readable."""
        return self.model_dump_json(indent=2)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
