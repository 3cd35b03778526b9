"""USearch: an HNSW index in one memory-mapped file; texts in SQLite beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require
from stores.peers.texts import add_texts, allowed, connect, create_texts, texts_of

_SETTINGS = tuple({"expansion": expansion} for expansion in (16, 32, 64, 128, 256, 512))
_FILE = "vectors.usearch"


class USearch(Embedded):
    """Vectors as int8, scaled so that the largest component fills the range, or as float16.

    It cannot filter: ten times k are fetched and dropped, or, tuned, the allowed vectors are taken out of the index by
    key and searched exactly by its own kernel.
    """

    packages = ("usearch",)
    modules = ("usearch.index",)
    builds = (
        Build("i8", {"dtype": "i8"}, _SETTINGS, {"expansion": 64, "fetch": 10}, {"expansion": 64, "exact": True}),
        Build("f16", {"dtype": "f16"}, _SETTINGS, {"expansion": 64, "fetch": 10}, {"expansion": 64, "exact": True}),
    )

    def __init__(self) -> None:
        self._index: Any = None
        self._texts: sqlite3.Connection | None = None
        self._folder = Path()
        self._writable = False
        self._scale = 0.0

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Add all vectors, save, store the texts."""
        self._scale = 127.0 / float(np.abs(vectors).max()) if build.parameters["dtype"] == "i8" else 0.0
        index = require("usearch", "usearch.index").Index(
            ndim=vectors.shape[1], metric="cos", connectivity=16, expansion_add=128, **build.parameters
        )
        index.add(np.arange(len(rows), dtype=np.uint64), self._cast(vectors))
        index.save(str(folder / _FILE))
        database = connect(folder)
        create_texts(database, rows)
        database.execute("CREATE TABLE scale (value REAL)")
        database.execute("INSERT INTO scale VALUES (?)", (self._scale,))
        database.commit()
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    def open(self, folder: Path, build: Build) -> None:
        """Map the index; nothing is copied."""
        self._index = require("usearch", "usearch.index").Index.restore(str(folder / _FILE), view=True)
        self._texts = connect(folder)
        (self._scale,) = self._texts.execute("SELECT value FROM scale").fetchone()
        self._folder = folder

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Keys from the index, texts from SQLite."""
        assert self._texts is not None
        self._index.expansion_search = setting["expansion"]
        given = self._cast(vector)
        if only is None:
            return texts_of(self._texts, self._index.search(given, k, threads=1).keys)
        if not setting.get("exact"):
            return texts_of(self._texts, self._index.search(given, k * setting["fetch"], threads=1).keys, only)[:k]
        keys = np.array(allowed(self._texts, only), dtype=np.uint64)
        if not len(keys):
            return []
        found = require("usearch", "usearch.index").search(
            np.vstack(self._index.get(keys)),
            given if self._scale else vector.astype(np.float16),
            min(k, len(keys)),
            "cos",
            exact=True,
            threads=1,
        )
        return texts_of(self._texts, keys[found.keys])

    def add(self, row: Row, vector: FloatArray) -> None:
        """Add, write the index file anew, commit the text: its index has no log."""
        assert self._texts is not None
        if not self._writable:
            self._index.load(str(self._folder / _FILE))
            self._writable = True
        self._index.add(row.number, self._cast(vector))
        self._index.save(str(self._folder / _FILE))
        add_texts(self._texts, [row])
        self._texts.commit()

    def close(self) -> None:
        """Unmap and close."""
        if self._texts is not None:
            self._index.reset()
            self._texts.close()
            self._texts = None

    def _cast(self, vectors: FloatArray) -> NDArray[Any]:
        """As int8 where the index holds int8: its own cast maps [-1, 1] to a byte, most of which is never reached."""
        if not self._scale:
            return np.asarray(vectors)
        scaled: NDArray[Any] = np.clip(np.rint(vectors * self._scale), -127, 127).astype(np.int8)
        return scaled
