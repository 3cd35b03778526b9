"""Verifying a memory: every file, every frame, every row, every reference between them. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stores.catalog.database import Database
from stores.checking import catalog, files
from stores.checking.report import CheckReport, Finding, told
from stores.frames import FrameStore

__all__ = ["CheckReport", "Finding", "check_memory"]


def check_memory(folder: Path, database: Database, frames: FrameStore, *, chunk_limit: int) -> CheckReport:
    """Read everything and compare it with every checksum and reference there is."""
    checked = Counter[str]()
    looks = (
        (database.path, lambda: catalog.check_log_file(database)),
        (database.path, lambda: catalog.check_pages(database)),
        (database.path, lambda: catalog.check_rows(database)),
        (database.path, lambda: catalog.check_fresh_terms(database, frames, chunk_limit)),
        (folder / "lexical", lambda: files.check_sealed_terms(folder, database)),
        (folder / "packs", lambda: files.check_packs(folder, database, checked)),
        (database.path, lambda: files.check_dictionaries(database, frames)),
        (database.path, lambda: files.check_chunks(database, frames, chunk_limit, checked)),
        (folder / "index", lambda: files.check_index(folder, database)),
    )
    findings = [finding for file, look in looks for finding in told(file, look)]
    return CheckReport(checked["chunks"], checked["packs"], tuple(findings))
