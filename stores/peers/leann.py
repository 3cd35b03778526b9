"""LEANN: a graph without vectors, which are computed again at search; or with them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_SETTINGS = tuple({"complexity": complexity} for complexity in (16, 32, 64, 128, 256))
_INDEX = "chunks.leann"
_SERVED = "served.npy"


class Leann(Embedded):
    """Its HNSW backend, compact (its own default) and with vectors kept; texts in its file of JSON lines.

    A compact search asks a server of its own for some 1,500 embeddings a query, made from the texts by a model. Here a
    thread answers those requests out of a file beside the store that is not counted, so that the time is its own
    without any model: **a lower bound** that no installation reaches. Its filter is applied to what the search
    returned; tuned, so many are searched that three times k are expected to pass.
    """

    packages = ("leann-core", "leann-backend-hnsw")
    modules = ("leann", "leann_backend_hnsw")
    builds = (
        Build("compact", {"keep": False}, _SETTINGS, {"complexity": 64}, {"complexity": 64, "fetch_per_hit": 3}),
        Build("vectors kept", {"keep": True}, _SETTINGS, {"complexity": 64}, {"complexity": 64, "fetch_per_hit": 3}),
    )

    def __init__(self) -> None:
        self._searcher: Any = None
        self._port: int | None = None
        self.asked = 0
        """Embeddings that searches of a compact store asked for."""

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """From texts and given vectors."""
        keep = build.parameters["keep"]
        builder = require("leann", "leann").LeannBuilder(
            backend_name="hnsw",
            dimensions=vectors.shape[1],
            distance_metric="cosine",
            is_compact=not keep,
            is_recompute=not keep,
            graph_degree=32,
            complexity=200,
        )
        for row in rows:
            builder.add_text(row.text, {"item": row.item, "percent": row.percent, "permille": row.permille})
        builder.build_index_from_arrays(str(folder / _INDEX), [row.number for row in rows], np.array(vectors))
        if not keep:
            np.save(folder.with_name(f"{folder.name}-{_SERVED}"), vectors)

    def open(self, folder: Path, build: Build) -> None:
        """Open the searcher; for a compact store, answer its requests."""
        keep = build.parameters["keep"]
        logging.getLogger("leann").setLevel(logging.ERROR)
        self._searcher = require("leann", "leann").LeannSearcher(
            str(folder / _INDEX), enable_warmup=False, recompute_embeddings=not keep, use_daemon=False
        )
        if not keep:
            self._serve(np.load(folder.with_name(f"{folder.name}-{_SERVED}"), mmap_mode="r"))

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """By vector through its backend, texts through its passages."""
        wanted = k
        if only is not None and "fetch_per_hit" in setting:
            parts = 100 if only.field == "percent" else 1000
            wanted = min(setting["fetch_per_hit"] * k * parts, len(self._searcher.passage_manager))
        found = self._searcher.backend_impl.search(
            vector[None],
            wanted,
            complexity=max(setting["complexity"], wanted),
            recompute_embeddings=self._port is not None,
            zmq_port=self._port,
        )
        passages = (self._searcher.passage_manager.get_passage(label) for label in found["labels"][0] if label != "-1")
        texts: list[str] = []
        for passage in passages:
            if only is None or passage["metadata"][only.field] == only.value:
                texts.append(passage["text"])
            if len(texts) == k:
                break
        return texts

    def add(self, row: Row, vector: FloatArray) -> None:
        """Not measured: an addition embeds by a model, which is not given here."""
        raise NotImplementedError("LEANN adds through an embedding model.")

    def close(self) -> None:
        """Let go of it; the thread ends with the process."""
        self._searcher = None

    def _serve(self, vectors: FloatArray) -> None:
        """Answer requests for embeddings or distances as its own server does, in its own protocol."""
        zmq, pack = require("leann", "zmq"), require("leann", "msgpack")
        socket = zmq.Context.instance().socket(zmq.REP)
        self._port = socket.bind_to_random_port("tcp://127.0.0.1")

        def answer() -> None:
            while True:
                request = pack.unpackb(socket.recv())
                numbers, query = (request[0], request[1]) if len(request) == 2 else (request, None)
                rows = vectors[np.asarray(numbers).reshape(-1)]
                self.asked += len(rows)
                if query is not None:
                    reply: list[Any] = [(-rows @ np.asarray(query, dtype=np.float32)).tolist()]
                else:
                    reply = [list(rows.shape), rows.reshape(-1).tolist()]
                socket.send(pack.packb(reply, use_single_float=True))

        threading.Thread(target=answer, daemon=True).start()
