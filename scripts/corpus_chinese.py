"""Chinese sources of the training corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scripts.corpus_english import Record
from scripts.corpus_git import Clone


def sources() -> dict[str, tuple[str, Callable[[Clone], Iterator[Record]]]]:
    """Repository name to its licence and reader."""
    return {}
