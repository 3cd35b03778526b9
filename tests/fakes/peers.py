"""A store under measurement that is nothing but its rows: searched exactly, or as badly as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting


class FakePeer(Embedded):
    """Keeps rows in memory. With ``{"lose": n}`` the n best rows of every answer are missing."""

    packages = ("numpy",)
    modules = ("numpy",)
    builds = (Build("plain", {}, ({"lose": 5}, {"lose": 0}), {"post_filter": 20}, {}),)

    def __init__(self, rows: Sequence[Row], vectors: FloatArray) -> None:
        self.rows = list(rows)
        self.vectors = vectors
        self.events: list[str] = []

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        self.rows, self.vectors = list(rows), vectors

    def open(self, folder: Path, build: Build) -> None:
        self.events.append("open")

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        order = np.argsort(-(self.vectors @ vector), kind="stable")[setting.get("lose", 0) :]
        if only is None:
            return [self.rows[at].text for at in order[:k]]
        seen = order[: setting.get("post_filter", len(order))]
        return [self.rows[at].text for at in seen if getattr(self.rows[at], only.field) == only.value][:k]

    def add(self, row: Row, vector: FloatArray) -> None:
        self.rows.append(row)

    def close(self) -> None:
        self.events.append("close")
