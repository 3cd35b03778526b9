"""Full-text search over a memory: sealed postings in a file, fresh ones in the catalog, scored as one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from cem_rag_app.errors import MemoryCorruptError, MemoryVersionError
from cem_rag_app.files import create_temporary, discard, publish, sync_folder
from stores.catalog.chunks import AT_ONCE, deleted_after, position
from stores.catalog.database import Database
from stores.catalog.ranges import IntArray
from stores.catalog.tables import KIND_CODES
from stores.files import file_sha256, folder_bytes, named_disk_errors
from stores.lexical.fresh import add_fresh, clear_fresh, fresh_rows, fresh_size, fresh_terms, terms_after
from stores.lexical.layout import REMEDY
from stores.lexical.question import Gone, Question
from stores.lexical.rows import SegmentRow, add_gone, gone_ids, next_number, put_segment, segment_row
from stores.lexical.sealing import Fresh, write_segment
from stores.lexical.segment import Segment
from stores.lexical.tokens import query_tokens
from stores.points import reached

SEAL_SHARE = 8
"""Fresh or deleted chunks are sealed when they are more than one to this many: little rewriting, little to visit."""

_SUFFIX = ".postings"

_DOCUMENT = KIND_CODES["document"]


class LexicalIndex:
    """The lexical index of one memory. Thread-safe; opening it reads nothing.

    Args:
        folder: of the segment, inside the memory; made at the first seal.
        database: the memory's catalog.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._lock = threading.Lock()
        self._opened: tuple[SegmentRow, Segment] | None = None
        self._gone: Gone | None = None

    def search(
        self, connection: Connection, query: str, limit: int, allowed: IntArray | Sequence[int] | None = None
    ) -> dict[int, float]:
        """The chunks that share terms with a query.

        Args:
            connection: a snapshot.
            query: text; it is never compressed (I4).
            limit: chunks at most.
            allowed: ascending ids of the only chunks that may be found; None allows all.

        Returns:
            Chunk id -> BM25, larger is better, best first; empty when the query has no term that occurs.

        Raises:
            MemoryCorruptError: the sealed part is damaged where it is needed.
        """
        tokens = query_tokens(query)
        if not tokens or limit < 1:
            return {}
        wanted = None if allowed is None else np.asarray(allowed, dtype=np.int64)
        row = segment_row(connection)
        try:
            segment = self._segment(row)
        except FileNotFoundError as error:
            with self._database.read() as newer:
                if segment_row(newer) == row:
                    raise self._missing(row) from error
                return self.search(newer, query, limit, allowed)  # sealed anew since this snapshot
        return Question(connection, segment, self._gone_of(connection, row, segment), limit, wanted).ask(tokens)

    def seal(self, *, force: bool = False) -> bool:
        """Write a new segment when much is fresh or deleted; the caller holds the memory's writer lock.

        Fresh chunks are found all the while; those that are remembered meanwhile stay fresh.

        Args:
            force: also where little has changed.

        Returns:
            Whether there is a new segment.

        Raises:
            DiskFullError: no space is left; everything is as it was.
            MemoryCorruptError: the old segment is damaged; :meth:`restore` makes it again.
        """
        with self._database.read() as connection:
            row = segment_row(connection)
            self._remove_files(row)
            fresh, gone = fresh_size(connection).chunks, gone_ids(connection)
            old = self._segment_or_corrupt(row)
            if old is not None:
                old.verify()
            sealed = 0 if row is None else row.chunks
            due = max(fresh, len(gone)) * SEAL_SHARE > sealed and bool(fresh or len(gone))
            if not due and not (force and (fresh or len(gone))):
                return False
            now = position(connection)
            ids, lengths = fresh_rows(connection)
            written = Fresh(ids, lengths, fresh_terms(connection))
            made = self._write(next_number(connection), old, gone, written, now.chunk_id)
        reached("lexical: segment written")
        with self._database.write() as connection:
            late = terms_after(connection, now.chunk_id)
            put_segment(connection, made)
            deleted = deleted_after(connection, now.deletion)
            add_gone(connection, [chunk_id for chunk_id in deleted if chunk_id <= made.last_chunk])
            clear_fresh(connection)
            add_fresh(connection, late)
            reached("lexical: before the switch")
        reached("lexical: switched")
        self._remove_files(made)
        reached("lexical: old segments removed")
        return True

    def restore(self, read_terms: Callable[[Sequence[int]], Mapping[int, str]]) -> None:
        """Make the sealed part again from the chunks themselves; the caller holds the memory's writer lock.

        All terms are read, and held in memory, before the one transaction that stores them: a chat that remembers
        something waits for no text to be opened.

        Args:
            read_terms: chunk ids -> their terms, separated by spaces; it leaves out what has none. It opens frames,
                which nothing else here does.

        Raises:
            MemoryCorruptError: the catalog is damaged.
        """
        with self._database.read() as connection:
            row = segment_row(connection)
            kinds = _unsealed(connection, row)
        held = self._held(row)
        missing = [
            chunk_id for chunk_id, kind in kinds.items() if held is None or kind != _DOCUMENT or chunk_id in held
        ]
        terms: dict[int, str] = {}
        for start in range(0, len(missing), AT_ONCE):
            terms.update(read_terms(missing[start : start + AT_ONCE]))
        with self._database.write() as connection:
            still = _unsealed(connection, row)  # some may have been deleted meanwhile
            add_fresh(connection, [(chunk_id, terms[chunk_id]) for chunk_id in still if chunk_id in terms])
            put_segment(connection, None)
        self.seal(force=True)

    def _held(self, row: SegmentRow | None) -> set[int] | None:
        """The chunks that the segment holds, None where it does not say so any more."""
        try:
            segment = self._segment(row)
            return None if segment is None else set(segment.all_chunk_ids().tolist())
        except (FileNotFoundError, MemoryCorruptError, MemoryVersionError):
            return None

    def bytes(self, connection: Connection) -> tuple[int, int]:
        """Bytes of the segment files, and of the fresh part inside the catalog without its pages' own overhead."""
        fresh = connection.exec_driver_sql(
            "SELECT (SELECT coalesce(sum(length(block)), 0) FROM lexical_data)"
            " + (SELECT coalesce(sum(length(sz)), 0) FROM lexical_docsize)"
            " + (SELECT coalesce(sum(length(term)), 0) FROM lexical_idx)"
        ).scalar_one()
        return folder_bytes(self._folder), int(fresh)

    def check(self) -> Iterator[tuple[Path, str]]:
        """Read everything: each file with what is wrong about it."""
        with self._database.read() as connection:
            row = segment_row(connection)
            gone = set(gone_ids(connection).tolist())
            fresh = set(fresh_rows(connection)[0].tolist())
            rows = connection.exec_driver_sql("SELECT chunk_id, kind FROM chunks")
            kinds: dict[int, int] = {row[0]: row[1] for row in rows}
        sealed: set[int] = set()
        if row is not None:
            path = self._path(row.number)
            try:
                if file_sha256(path) != row.sha256:
                    yield path, "The lexical index does not match its checksum."
                segment = Segment(path)
                segment.verify()
                sealed = set(segment.all_chunk_ids().tolist())
            except FileNotFoundError:
                yield path, "The lexical index is missing."
                return
            except (MemoryCorruptError, MemoryVersionError) as error:
                yield path, str(error)
                return
        hidden = len(gone & kinds.keys())
        if hidden:
            yield self._database.path, f"{hidden} chunks are there but hidden from full-text search."
        strangers = len((sealed - gone | fresh) - kinds.keys())
        if strangers:
            yield self._database.path, f"The full-text index has {strangers} rows of no chunk."
        # Documents that came as frames have no terms; messages always do.
        findable = sealed | fresh
        unfindable = sum(kind != _DOCUMENT for chunk_id, kind in kinds.items() if chunk_id not in findable)
        if unfindable:
            yield self._database.path, f"{unfindable} chunks are missing in the full-text index."

    def close(self) -> None:
        """Let go of the segment."""
        with self._lock:
            self._opened = self._gone = None

    def _write(self, number: int, old: Segment | None, gone: IntArray, fresh: Fresh, last_chunk: int) -> SegmentRow:
        self._folder.mkdir(exist_ok=True)
        path = self._path(number)
        with named_disk_errors(path), contextlib.ExitStack() as cleanup:
            file = create_temporary(self._folder, suffix=".tmp")
            cleanup.callback(discard, file)
            header = write_segment(file, old, gone, fresh, last_chunk)
            publish(file, path)
            sync_folder(self._folder.parent)
        return SegmentRow(number, file_sha256(path), header.size, header.chunks, last_chunk)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}{_SUFFIX}"

    def _segment(self, row: SegmentRow | None) -> Segment | None:
        """The segment that a snapshot speaks of; a reader keeps its map of a file that was removed since."""
        if row is None:
            return None
        with self._lock:
            if self._opened is not None and self._opened[0] == row:
                return self._opened[1]
        segment = Segment(self._path(row.number))
        if len(segment) != row.chunks or segment.header.last_chunk != row.last_chunk:
            raise MemoryCorruptError(f"{segment.path} is not the one that the catalog speaks of.", remedy=REMEDY)
        with self._lock:
            self._opened = (row, segment)
        return segment

    def _segment_or_corrupt(self, row: SegmentRow | None) -> Segment | None:
        try:
            return self._segment(row)
        except FileNotFoundError as error:
            raise self._missing(row) from error

    def _missing(self, row: SegmentRow | None) -> MemoryCorruptError:
        path = self._folder if row is None else self._path(row.number)
        return MemoryCorruptError(f"{path} is missing.", remedy=REMEDY)

    def _gone_of(self, connection: Connection, row: SegmentRow | None, segment: Segment | None) -> Gone | None:
        """Deleted chunks of the segment; read again only when something was deleted since."""
        if row is None or segment is None:
            return None
        deletion = position(connection).deletion
        with self._lock:
            known = self._gone
        if known is None or (known.segment, known.deletion) != (row.number, deletion):
            numbers = segment.numbers(gone_ids(connection))
            mask = segment.mask(None, numbers) if len(numbers) else np.empty(0, dtype=np.uint8)
            known = Gone(row.number, deletion, numbers, mask)
            with self._lock:
                self._gone = known
        return known

    def _remove_files(self, row: SegmentRow | None) -> None:
        """Remove what the catalog does not speak of: interrupted and superseded segments."""
        if not self._folder.is_dir():
            return
        kept = None if row is None else self._path(row.number)
        for path in list(self._folder.iterdir()):
            if path != kept:
                with contextlib.suppress(OSError):  # a reader on Windows holds it: the next seal removes it
                    path.unlink()


def _unsealed(connection: Connection, row: SegmentRow | None) -> dict[int, int]:
    """Chunks whose terms are lost with the segment, ascending, and their kinds.

    What came after it is fresh, or has no terms: only messages always have some.
    """
    rows = connection.exec_driver_sql(
        "SELECT chunk_id, kind FROM chunks WHERE chunk_id NOT IN (SELECT id FROM lexical_docsize)"
        " AND (chunk_id <= ? OR kind <> ?) ORDER BY chunk_id",
        (0 if row is None else row.last_chunk, _DOCUMENT),
    )
    return {int(found[0]): int(found[1]) for found in rows}
