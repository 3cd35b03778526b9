"""What a store must be able to do to be measured, and how it is found by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from cem_rag_app.errors import MissingDependencyError, SettingsError
from cem_rag_app.schema import FloatArray

Setting = Mapping[str, Any]
"""What can be turned at search time, by the peer's own names."""


@dataclass(frozen=True, slots=True)
class Only:
    """A filter: chunks whose field has this value. ``percent`` has 100 values, ``permille`` 1,000."""

    field: Literal["percent", "permille"]
    value: int


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk as every peer stores it."""

    number: int
    """From 0, without gaps."""
    item: str
    """Id of the document it was cut from."""
    text: str
    percent: int
    permille: int


@dataclass(frozen=True, slots=True)
class Build:
    """One way of writing a store, and the ways of searching it that are tried."""

    label: str
    parameters: Setting
    settings: tuple[Setting, ...]
    """Cheapest first: they make the curve of recall against time."""
    default_filter: Setting
    """How it filters when nothing is tuned."""
    tuned_filter: Setting
    """How its documentation says to filter when few rows are allowed."""


class Peer(Protocol):
    """A store under measurement. One object lives in one process and opens one folder."""

    packages: Sequence[str]
    """What must be installed, by the index's names; their versions are reported."""
    modules: Sequence[str]
    """What is imported before anything is timed."""
    builds: Sequence[Build]

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Write rows and vectors (n, d) to an empty folder, index them, tidy up as documented, and close."""
        ...

    def open(self, folder: Path, build: Build) -> None:
        """Open what :meth:`create` left."""
        ...

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Texts of the k rows nearest to a unit vector (d,) by cosine, best first."""
        ...

    def add(self, row: Row, vector: FloatArray) -> None:
        """Store one more row by the call after which the peer's user takes it for stored."""
        ...

    def close(self) -> None:
        """Close files and stop servers."""
        ...

    def servers(self) -> Sequence[int]:
        """Process ids of servers that work for it beside this process."""
        ...

    def disk_bytes(self, folder: Path) -> int:
        """What the rows take on disk."""
        ...


class Embedded:
    """For peers that live in this process and keep files in their folder."""

    def servers(self) -> Sequence[int]:
        """None."""
        return ()

    def disk_bytes(self, folder: Path) -> int:
        """All files."""
        return folder_bytes(folder)


OURS = "cem-rag"

PEERS: Mapping[str, str] = {
    OURS: "ours:Ours",
    "faiss-langchain": "faiss_langchain:FaissLangChain",
    "chroma": "chroma:Chroma",
    "lancedb": "lance:Lance",
    "qdrant-edge": "qdrant_edge:QdrantEdge",
    "milvus-lite": "milvus_lite:MilvusLite",
    "pgvector": "pgvector:PgVector",
    "sqlite-vec": "sqlite_vec:SqliteVec",
    "usearch": "usearch:USearch",
    "leann": "leann:Leann",
}
"""Name to module and class."""


def load_peer(name: str) -> Peer:
    """Make a peer's adapter; its package is imported when the adapter first works.

    Raises:
        SettingsError: there is no such peer.
    """
    if name not in PEERS:
        raise SettingsError(f"{name!r} is no peer.", remedy=f"Choose from {', '.join(PEERS)}.")
    module, _, kind = PEERS[name].partition(":")
    peer: Peer = getattr(importlib.import_module(f"stores.peers.{module}"), kind)()
    return peer


def require(peer: str, module: str) -> Any:
    """Import a peer's package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{peer} needs the package that brings {module!r}.", remedy='pip install "cem-rag[peers]"'
        ) from error


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder; of a file with holes, what it occupies: the smaller way to count."""
    total = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            total += min(status.st_size, status.st_blocks * 512)
    return total
