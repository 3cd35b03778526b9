"""A sealed lexical index: one immutable, memory-mapped file."""

from __future__ import annotations

import mmap
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cem_rag_app.errors import MemoryCorruptError
from stores.catalog.ranges import IntArray
from stores.lexical.bits import Bytes
from stores.lexical.dictionary import find_term, read_terms
from stores.lexical.huffman import Model
from stores.lexical.layout import HEADER_BYTES, PAGE, corrupt, parse_header
from stores.lexical.lengths import LengthCodes
from stores.lexical.lists import HIGHEST_IMPACT
from stores.lexical.scoring import Floats, best_chunks

_FEW = 16
"""Filters that leave one chunk in this many are searched by looking each of them up."""


@dataclass(frozen=True, slots=True)
class Posting:
    """Where a term's list lies."""

    count: int
    """Chunks that hold the term."""
    position: int
    """In bits."""
    size: int
    """Bytes; 0 where the list lies in the dictionary."""
    impact: float
    """The highest ``tf / (tf + norm)`` of the list, at the average length of the segment."""


@dataclass(frozen=True, slots=True)
class Terms:
    """All terms of a segment, ascending by their bytes."""

    data: Bytes
    starts: IntArray
    counts: IntArray
    positions: IntArray

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.starts[row] : self.starts[row + 1]].tobytes()


@dataclass(frozen=True, slots=True)
class _Tables:
    """What is read when a segment is first used."""

    model: Model
    run_ids: IntArray
    run_starts: IntArray


class Segment:
    """A sealed index. Opening it reads a header; each page is verified when it is first touched. Thread-safe.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: it is not there.
        MemoryCorruptError: it is torn, or no such file.
        MemoryVersionError: a newer release made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            size = path.stat().st_size
            self.header = parse_header(file.read(HEADER_BYTES), size, path)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.data: Bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._lock = threading.Lock()
        self._verified = np.zeros((self.header.pages_at - HEADER_BYTES + PAGE - 1) // PAGE, dtype=bool)
        self._tables: _Tables | None = None

    def __len__(self) -> int:
        return self.header.chunks

    @property
    def average_length(self) -> float:
        """Terms of a chunk on average."""
        return self.header.total_length / max(self.header.chunks, 1)

    @property
    def codes(self) -> LengthCodes:
        """(n,) the length code of each chunk."""
        self._ready()
        return self.data[self.header.lengths_at : self.header.lengths_at + self.header.chunks]

    def find(self, token: str) -> Posting | None:
        """Where a term's list lies; None where no chunk holds it.

        Raises:
            MemoryCorruptError: what is needed is damaged.
        """
        header, model = self.header, self._ready().model
        if not header.terms:
            return None
        wanted = np.frombuffer(token.encode(), dtype=np.uint8)
        count, position, size = find_term(
            self.data,
            wanted,
            header.terms,
            header.terms_at,
            header.blocks_at,
            header.longest_term,
            header.chunks,
            model.first_codes,
            model.first_places,
            model.symbols,
            model.contexts,
        )
        if not count:
            return None
        if not size:
            return Posting(count, position, 0, 1.0)
        start = position >> 3
        self.verify(start, start + size)
        return Posting(count, position, size, float(self.data[start]) / HIGHEST_IMPACT)

    def best(
        self,
        postings: Sequence[Posting],
        weights: Floats,
        bounds: Floats,
        norms: Floats,
        limit: int,
        mask: Bytes,
        given: IntArray | None,
    ) -> tuple[IntArray, Floats]:
        """The best chunks: numbers within this segment, ascending, and scores; see :func:`best_chunks`."""
        if not postings:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        numbers, scores = best_chunks(
            self.data,
            np.array([posting.position for posting in postings], dtype=np.int64),
            np.array([posting.count for posting in postings], dtype=np.int64),
            weights,
            bounds,
            self.header.chunks,
            norms,
            self.header.lengths_at,
            mask,
            np.empty(0, dtype=np.int64) if given is None else given,
            given is not None,
            limit,
        )
        matched = scores > 0.0
        return numbers[matched], scores[matched]

    def few(self, count: int) -> bool:
        """Whether so many allowed chunks are better looked up one by one."""
        return count * _FEW < self.header.chunks

    def mask(self, numbers: IntArray | None, without: IntArray) -> Bytes:
        """A bit for each chunk: ``numbers`` (None: all) but not those in ``without``."""
        allowed = np.full(self.header.chunks, numbers is None)
        if numbers is not None:
            allowed[numbers] = True
        allowed[without] = False
        return np.packbits(allowed, bitorder="little")

    def chunk_ids(self, numbers: IntArray) -> IntArray:
        """Chunk ids by their numbers within this segment."""
        tables = self._ready()
        run = np.searchsorted(tables.run_starts, numbers, side="right") - 1
        return np.asarray(tables.run_ids[run] + numbers - tables.run_starts[run], dtype=np.int64)

    def all_chunk_ids(self) -> IntArray:
        """(n,) the chunks of this segment, ascending."""
        return self.chunk_ids(np.arange(self.header.chunks, dtype=np.int64))

    def numbers(self, chunk_ids: IntArray) -> IntArray:
        """Numbers within this segment of ascending chunk ids; those that it does not hold are left out."""
        tables = self._ready()
        if not len(tables.run_ids):
            return np.empty(0, dtype=np.int64)
        lengths = np.diff(np.append(tables.run_starts, self.header.chunks))
        if len(tables.run_ids) <= len(chunk_ids):  # each run is a slice of what is asked for
            first = np.searchsorted(chunk_ids, tables.run_ids)
            behind = np.searchsorted(chunk_ids, tables.run_ids + lengths)
            shift = tables.run_starts - tables.run_ids
            pieces = [chunk_ids[a:b] + by for a, b, by in zip(first, behind, shift, strict=True) if a < b]
            return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
        run = np.searchsorted(tables.run_ids, chunk_ids, side="right") - 1
        behind = chunk_ids - tables.run_ids[run]
        inside = (run >= 0) & (behind < lengths[run])
        return np.asarray((tables.run_starts[run] + behind)[inside], dtype=np.int64)

    def terms(self) -> Terms:
        """All terms; the lists are verified too."""
        header, model = self.header, self._ready().model
        self.verify(HEADER_BYTES, header.pages_at)
        return Terms(
            *read_terms(
                self.data,
                header.terms,
                header.term_bytes,
                header.terms_at,
                header.blocks_at,
                header.longest_term,
                header.chunks,
                model.first_codes,
                model.first_places,
                model.symbols,
                model.contexts,
            )
        )

    def verify(self, start: int = HEADER_BYTES, behind: int | None = None) -> None:
        """Compare the pages from byte ``start`` on with their checksums, those that were not compared before.

        Raises:
            MemoryCorruptError: naming the file and the damaged page.
        """
        first = (start - HEADER_BYTES) // PAGE
        last = ((self.header.pages_at if behind is None else behind) - HEADER_BYTES + PAGE - 1) // PAGE
        if not 0 <= first <= last <= len(self._verified):
            raise corrupt(self.path, f"a list lies outside, from byte {start} on")
        if self._verified[first:last].all():
            return
        for page in first + np.flatnonzero(~self._verified[first:last]):
            begin = HEADER_BYTES + int(page) * PAGE
            found = zlib.crc32(self._map[begin : min(begin + PAGE, self.header.pages_at)])
            at = self.header.pages_at + 4 * int(page)
            if found != int.from_bytes(self._map[at : at + 4], "little"):
                raise corrupt(self.path, f"the page from byte {begin} on does not match its checksum")
            self._verified[page] = True

    def _ready(self) -> _Tables:
        """The tables, read and verified at first use."""
        tables = self._tables
        if tables is not None:
            return tables
        with self._lock:
            header = self.header
            if zlib.crc32(self._map[header.pages_at :]) != header.pages_crc32:
                raise corrupt(self.path, "its checksums do not match their own")
            self.verify(header.terms_at, header.pages_at)
            try:
                model = Model.from_bytes(self._map[header.model_at : header.lengths_at])
            except MemoryCorruptError as error:
                raise corrupt(self.path, str(error)) from error
            runs = np.frombuffer(self._map[header.runs_at : header.pages_at], dtype="<i8").reshape(-1, 2)
            self._tables = _Tables(model, runs[:, 0].astype(np.int64), runs[:, 1].astype(np.int64))
            return self._tables
