"""Writing a sealed index: the old one without what is gone, and the fresh chunks behind it.

Terms come from the old dictionary and from the full-text table, both ascending, and are merged in one pass. No text is
opened (I1), and what is held in memory is the dictionary and a few million postings at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numba import njit

from stores.catalog.ranges import IntArray
from stores.lexical.bits import Integers
from stores.lexical.dictionary import OFFSET_BYTES, make_model, shared_lengths, write_terms
from stores.lexical.fresh import parse_ids
from stores.lexical.layout import HEADER_BYTES, Header, PagedWriter
from stores.lexical.lengths import LENGTHS, length_codes
from stores.lexical.lists import INLINE, read_lists, write_lists
from stores.lexical.scoring import Floats, highest_impacts, length_norms
from stores.lexical.segment import Segment, Terms

BATCH = 1 << 21
"""Postings put together at once."""

_NOT_THERE = -1


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a seal adds.

    Attributes:
        chunk_ids: (n,) ascending, all above those of the old segment.
        lengths: (n,) terms of each.
        terms: ascending by their bytes, each with the ids of its chunks, separated by commas, one for each occurrence.
    """

    chunk_ids: IntArray
    lengths: IntArray
    terms: Iterable[tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class _Source:
    """A term and where its postings come from."""

    term: bytes
    old_row: int
    fresh_ids: str


@dataclass(frozen=True, slots=True)
class _Old:
    """The old segment, as a seal needs it: what its chunks are called from now on, -1 for those that are gone."""

    segment: Segment
    terms: Terms
    numbers: IntArray


class _Columns:
    """What the dictionary needs of each term, gathered while the lists are written."""

    def __init__(self) -> None:
        self.terms: list[bytes] = []
        self.counts: list[IntArray] = []
        self.sizes: list[IntArray] = []
        self.short_chunks: list[IntArray] = []
        self.short_counts: list[IntArray] = []


def write_segment(file: BinaryIO, old: Segment | None, gone: IntArray, fresh: Fresh, last_chunk: int) -> Header:
    """Write a segment.

    Args:
        file: new and empty.
        old: the segment so far, if there is one.
        gone: ids of its chunks that are deleted.
        fresh: what is added.
        last_chunk: every chunk up to this id is in the segment, deleted, or has no terms.

    Returns:
        Its header, already written.

    Raises:
        MemoryCorruptError: the old segment is damaged.
    """
    chunk_ids, codes, total = fresh.chunk_ids, length_codes(fresh.lengths), int(fresh.lengths.sum())
    kept = None
    if old is not None:
        old.verify()
        old_ids, old_codes = old.all_chunk_ids(), old.codes
        stays = ~np.isin(old_ids, gone)
        total += max(old.header.total_length - int(LENGTHS[old_codes[~stays]].sum()), 0)
        kept = _Old(old, old.terms(), np.where(stays, np.cumsum(stays) - 1, _NOT_THERE))
        chunk_ids = np.concatenate((old_ids[stays], chunk_ids))
        codes = np.concatenate((old_codes[stays], codes))
    norms = length_norms(total / max(len(chunk_ids), 1))
    writer = PagedWriter(file)
    columns = _Columns()
    for batch in _batches(_sources(kept, fresh), kept):
        _write_batch(writer, columns, batch, kept, fresh.chunk_ids, codes, norms)
    header = _write_tables(writer, columns, chunk_ids, codes.tobytes(), total, last_chunk)
    file.seek(0)
    file.write(header.to_bytes())
    return header


def _sources(old: _Old | None, fresh: Fresh) -> Iterator[_Source]:
    """Terms of both parts, ascending, each once."""
    sealed = ((old.terms[row], row, "") for row in range(len(old.terms))) if old is not None else iter(())
    added = ((term, _NOT_THERE, ids) for term, ids in fresh.terms)
    before: _Source | None = None
    for term, row, ids in heapq.merge(sealed, added, key=lambda source: source[0]):
        if before is not None and before.term == term:  # a term of the old segment comes first: heapq.merge is stable
            yield _Source(term, before.old_row, ids)
            before = None
            continue
        if before is not None:
            yield before
        before = _Source(term, row, ids)
    if before is not None:
        yield before


def _batches(sources: Iterable[_Source], old: _Old | None) -> Iterator[list[_Source]]:
    batch: list[_Source] = []
    size = 0
    for source in sources:
        batch.append(source)
        if old is not None and source.old_row >= 0:
            size += int(old.terms.counts[source.old_row])
        size += len(source.fresh_ids) >> 2
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_batch(
    writer: PagedWriter,
    columns: _Columns,
    batch: list[_Source],
    old: _Old | None,
    fresh_ids: IntArray,
    codes: np.ndarray[tuple[int], np.dtype[np.uint8]],
    norms: Floats,
) -> None:
    """Put the lists of some terms together and write the long ones."""
    rows = np.array([source.old_row for source in batch], dtype=np.int64)
    old_starts = np.zeros(1, dtype=np.int64)
    old_chunks = old_counts = np.empty(0, dtype=np.int64)
    if old is not None:
        held = rows[rows >= 0]
        old_starts, old_chunks, old_counts = read_lists(
            old.segment.data, old.terms.positions[held], old.terms.counts[held], old.segment.header.chunks
        )
        old_chunks = old.numbers[old_chunks]
    occurrences = np.array([source.fresh_ids.count(",") + 1 if source.fresh_ids else 0 for source in batch])
    ids = parse_ids(",".join(source.fresh_ids for source in batch if source.fresh_ids))
    # A row that is gone may have left terms behind: they are no other chunk's.
    places = np.searchsorted(fresh_ids, ids)
    there = np.isin(ids, fresh_ids)
    fresh = np.where(there, len(codes) - len(fresh_ids) + places, _NOT_THERE)
    starts, chunks, counts = _combine(rows, old_starts, old_chunks, old_counts, np.cumsum(occurrences), fresh)
    sizes_of = np.diff(starts)
    some = np.flatnonzero(sizes_of)
    starts = np.append(starts[some], starts[-1])
    impacts = highest_impacts(starts, chunks, counts, codes, norms)
    data, sizes = write_lists(starts, chunks, counts, len(codes), impacts)
    writer.write(data.tobytes())
    short = np.repeat(sizes_of[some] <= INLINE, sizes_of[some])
    columns.terms.extend(batch[row].term for row in some.tolist())
    columns.counts.append(sizes_of[some])
    columns.sizes.append(sizes)
    columns.short_chunks.append(chunks[short])
    columns.short_counts.append(counts[short])


@njit(cache=True, nogil=True)
def _combine(
    rows: Integers,
    old_starts: Integers,
    old_chunks: Integers,
    old_counts: Integers,
    fresh_ends: Integers,
    fresh: Integers,
) -> tuple[Integers, Integers, Integers]:
    """Postings of each term: the old ones that stay, then the fresh ones, occurrences of one chunk counted together.

    Numbers below zero are chunks that are gone.
    """
    starts = np.zeros(rows.size + 1, dtype=np.int64)
    chunks = np.empty(old_chunks.size + fresh.size, dtype=np.int64)
    counts = np.empty(old_chunks.size + fresh.size, dtype=np.int64)
    end, held, at = 0, 0, 0
    for row in range(rows.size):
        if rows[row] >= 0:
            for i in range(old_starts[held], old_starts[held + 1]):
                if old_chunks[i] >= 0:
                    chunks[end], counts[end] = old_chunks[i], old_counts[i]
                    end += 1
            held += 1
        first = end
        while at < fresh_ends[row]:
            if fresh[at] < 0:
                pass
            elif end > first and chunks[end - 1] == fresh[at]:
                counts[end - 1] += 1
            else:
                chunks[end], counts[end] = fresh[at], 1
                end += 1
            at += 1
        starts[row + 1] = end
    return starts, chunks[:end].copy(), counts[:end].copy()


def _write_tables(
    writer: PagedWriter, columns: _Columns, chunk_ids: IntArray, codes: bytes, total: int, last_chunk: int
) -> Header:
    """Write what stands behind the lists."""
    data = np.frombuffer(b"".join(columns.terms), dtype=np.uint8)
    sizes = np.array([len(term) for term in columns.terms], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))
    shared = shared_lengths(data, starts)
    model = make_model(data, starts, shared)
    terms, blocks = write_terms(
        data,
        starts,
        shared,
        _joined(columns.counts),
        _joined(columns.sizes),
        HEADER_BYTES,
        _joined(columns.short_chunks),
        _joined(columns.short_counts),
        len(chunk_ids),
        model.code_lengths,
        model.codes,
        model.contexts,
    )
    terms_at = writer.position
    writer.write(terms.tobytes())
    blocks_at = writer.position
    writer.write(blocks.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :OFFSET_BYTES].tobytes())
    model_at = writer.position
    writer.write(model.to_bytes())
    lengths_at = writer.position
    writer.write(codes)
    runs_at = writer.position
    writer.write(_runs(chunk_ids))
    pages_at, size, checksum = writer.finish()
    longest = int(sizes.max(initial=0))
    places = (terms_at, blocks_at, model_at, lengths_at, runs_at, pages_at)
    return Header(
        len(chunk_ids),
        len(columns.terms),
        total,
        last_chunk,
        longest,
        len(data),
        *places,
        size=size,
        pages_crc32=checksum,
    )


def _runs(chunk_ids: IntArray) -> bytes:
    """Where each run of consecutive chunk ids begins: pairs of the first id and its number in the segment."""
    if not len(chunk_ids):
        return b""
    starts = np.concatenate(([0], 1 + np.flatnonzero(np.diff(chunk_ids) != 1)))
    return np.stack((chunk_ids[starts], starts), axis=1).astype("<i8").tobytes()


def _joined(pieces: list[IntArray]) -> IntArray:
    return np.concatenate([np.empty(0, dtype=np.int64), *pieces])
