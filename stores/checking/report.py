"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from cem_rag_app.errors import CemRagError

RESTORE: Final = "Restore the file from a copy."
BUILD: Final = "Run `cem-rag build`; nothing is lost."

_DAMAGE: Final = (CemRagError, SQLAlchemyError, OSError, ValueError, TypeError, LookupError, ArithmeticError)
"""What reading a damaged file may end with, whatever the bit that flipped."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    severity: Literal["error", "note"]
    """An ``error`` means that something stored is damaged; a ``note`` mends itself."""
    file: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check looked at and found."""

    chunks: int
    packs: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stored is damaged."""
        return not any(finding.severity == "error" for finding in self.findings)


def told(file: Path, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What ``look`` finds, and the error that ends it: damage is a finding, and the next look goes on."""
    findings: list[Finding] = []
    try:
        findings.extend(look())
    except _DAMAGE as error:
        problem = str(error) if isinstance(error, CemRagError) else f"It cannot be read to its end ({error!r})."
        findings.append(Finding("error", str(file), problem, RESTORE))
    return findings
