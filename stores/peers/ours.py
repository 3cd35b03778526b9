"""Our own memory under the same load, end to end: import, build, search, open the frames that were found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from sqlalchemy import select

from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint
from cem_rag_app.cem.pair import Encoders
from cem_rag_app.errors import CheckpointError
from cem_rag_app.schema import FloatArray, MemoryItem
from cem_rag_app.settings import CodeSettings, PackSettings, Settings
from stores.catalog.tables import chunks
from stores.documents import read_chunks
from stores.memory import Memory
from stores.peers.base import Build, Embedded, Only, Row, Setting
from stores.profile import MemoryProfile
from stores.vectorstore import CemVectorStore

CHUNK_TARGET = 500
"""Chunks of some 440 bytes on average: a cut falls at a sentence's end, most often before the target."""
_SPACE = "minilm-en"
_AT_ONCE = 2_000


class Ours(Embedded):
    """A memory of documents as the command line makes it, its index the default of its size.

    ``refine`` is the setting of that name (`CEM_RAG_CODES__REFINE`): candidates whose vectors a search makes again from
    their frames; -1 is the default.

    Vectors are not given to it: it reads them off its frames, and the other stores are given what it read.
    """

    packages = ("cem-rag", "zstandard", "numba")
    modules = ()
    builds = (
        Build("default", {}, tuple({"refine": count} for count in (0, -1, 32)), {"refine": -1}, {"refine": -1}),
        Build("224 bytes", {"bytes": 224}, ({"refine": 0}, {"refine": 4}), {"refine": 0}, {"refine": 0}),
    )

    def __init__(self) -> None:
        self._store: CemVectorStore | None = None
        self._folder = Path()
        self._codes: Setting = {}

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Put the documents together again, import and build; the cuts fall where they fell before."""
        self.create_from(folder, _documents(rows), build.parameters)

    def create_from(self, folder: Path, documents: Iterator[MemoryItem], codes: Setting | None = None) -> None:
        """Make a memory of documents, with these settings of its codes."""
        profile = MemoryProfile("documents", encoder=_SPACE, language="en")
        with Memory.create(folder, profile, encoders=_encoders, settings=_settings(folder, codes)) as memory:
            memory.import_items(documents)
            memory.build(batch_size=256)

    def open(self, folder: Path, build: Build) -> None:
        """Open the memory; nothing but its catalog is read yet."""
        self._folder, self._codes = folder, build.parameters
        self._connect()

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """By vector; filters are applied before the search."""
        assert self._store is not None
        wanted = {**self._codes, **setting}
        if wanted != self._codes:
            self._codes = wanted
            self._store.close()
            self._connect()
        filters = None if only is None else {only.field: only.value}
        found = self._store.similarity_search_by_vector(vector, k, filter=filters)  # type: ignore[arg-type]
        return [document.page_content for document in found]

    def add(self, row: Row, vector: FloatArray) -> None:
        """One document."""
        assert self._store is not None
        self._store.memory.import_items(_documents([row]))

    def _connect(self) -> None:
        settings = _settings(self._folder, self._codes)
        self._store = CemVectorStore(Memory.open(self._folder, encoders=_encoders, settings=settings))

    def close(self) -> None:
        """Close the memory."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def export(self, folder: Path) -> tuple[list[Row], FloatArray]:
        """Every chunk of a memory in order, and the vectors that its frames have."""
        with Memory.open(folder, encoders=_encoders, settings=_settings(folder)) as memory:
            with memory.database.read() as connection:
                wanted = list(connection.execute(select(chunks.c.chunk_id).order_by(chunks.c.chunk_id)).scalars())
            encoder = memory.encoders().document
            rows: list[Row] = []
            vectors = np.empty((len(wanted), encoder.dimension), dtype=np.float32)
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                stored = memory.frames.frames(some)
                for key in {frame.dictionary_key for frame in stored.values()}:
                    own = [at for at, chunk in enumerate(some) if stored[chunk].dictionary_key == key]
                    frames = [stored[some[at]].frame for at in own]
                    vectors[[start + at for at in own]] = encoder.encode(frames, memory.frames.dictionary(key))
                found = read_chunks(memory.database, memory.frames, some, limit=memory.settings.pack.chunk_limit)
                for chunk in some:
                    item = found[chunk]
                    fields = item.meta["percent"], item.meta["permille"]
                    rows.append(Row(len(rows), item.mem_id, item.text, *fields))
        return rows, vectors


class _Given:
    """Stands for the text encoder: queries come as vectors, for every store alike."""

    name = _SPACE

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        raise CheckpointError("Queries are vectors here; there is no text to encode.")


def _encoders(name: str) -> Encoders:
    checkpoint = shipped_checkpoint(name)
    if checkpoint is None:
        raise CheckpointError(f"No checkpoint ships for {name!r}.")
    document = CompressedEncoder.from_pretrained(checkpoint)
    return Encoders(_Given(document.dimension), document)


def _settings(folder: Path, codes: Setting | None = None) -> Settings:
    settings = Settings()
    pack: PackSettings = settings.pack.model_copy(update={"chunk_target": CHUNK_TARGET})
    chosen: CodeSettings = settings.codes.model_copy(update=codes or {})
    return settings.model_copy(update={"memory": folder, "pack": pack, "codes": chosen})


def _documents(rows: Sequence[Row]) -> Iterator[MemoryItem]:
    for item, parts in groupby(rows, key=lambda row: row.item):
        own = list(parts)
        fields = {"percent": own[0].percent, "permille": own[0].permille}
        yield MemoryItem(item, "".join(row.text for row in own), source="corpus.jsonl", meta=fields)
