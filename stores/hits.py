"""From scored candidates to hits: the end of recall, where the few best chunks are opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from cem_rag_app.persona.segments import segment_around
from cem_rag_app.schema import Hit, Message, Segment
from cem_rag_app.settings import SegmentSettings
from stores.catalog.conversation import MessageRow, messages_after, messages_before, messages_of_chunk
from stores.catalog.database import Database
from stores.documents import describe_chunks
from stores.frames import FrameStore
from stores.search import Found
from stores.tail import open_messages, open_texts

BURST_ALLOWANCE = 40
"""Messages read beyond the window, so that a long answer of the person is seen whole."""


@dataclass(frozen=True, slots=True)
class _Window:
    """A segment whose lines have no text yet."""

    segment: Segment
    rows: tuple[MessageRow, ...]
    matched: frozenset[int]
    """Ids of the messages in the chunk that was found."""


class HitOpener:
    """Opens the best candidates of one memory."""

    def __init__(self, database: Database, frames: FrameStore, settings: SegmentSettings, *, chunk_limit: int) -> None:
        self._database = database
        self._frames = frames
        self._settings = settings
        self._limit = chunk_limit

    def open(self, found: Iterable[Found], k: int) -> list[Hit]:
        """The k best hits with their texts; chunks of one exchange count once, unless one shows what another cannot.

        Raises:
            MemoryCorruptError: a frame that is needed is damaged.
        """
        chosen: list[tuple[Found, _Window | None]] = []
        shown: dict[int, set[int]] = {}
        with self._database.read() as connection:
            for candidate in found:
                if len(chosen) == k:
                    break
                if candidate.kind == "document":
                    chosen.append((candidate, None))
                    continue
                window = self._window(connection, candidate.chunk_id)
                if window is None:
                    continue
                lines = shown.setdefault(window.segment.anchor.message_id, set())
                if not window.matched <= lines:
                    lines.update(line.message_id for line in window.segment.messages)
                    chosen.append((candidate, window))
            documents = [candidate.chunk_id for candidate, window in chosen if window is None]
            described = describe_chunks(connection, documents)
        texts = open_texts(self._frames, documents, limit=self._limit)
        rows = list({row.message.message_id: row for _, w in chosen if w is not None for row in w.rows}.values())
        opened = {m.message_id: m for m in open_messages(self._frames, rows, limit=self._limit)}
        hits = []
        for candidate, window in chosen:
            if window is None:
                if candidate.chunk_id in texts and candidate.chunk_id in described:
                    item = described[candidate.chunk_id]
                    hits.append(_hit(candidate, texts[candidate.chunk_id], item.mem_id, None, item.meta))
            elif all(line.message_id in opened for line in window.segment.messages):
                segment = _filled(window.segment, opened)
                hits.append(_hit(candidate, segment.anchor.text, str(segment.segment_id), segment, {}))
        return hits

    def _window(self, connection: Connection, chunk_id: int) -> _Window | None:
        """The segment around a chunk, chosen by who spoke when: no text is needed for that."""
        own = messages_of_chunk(connection, chunk_id)
        if not own:
            return None
        chosen, conversation = self._settings, own[0].message.conversation
        first, last = own[0].message.message_id, own[-1].message.message_id
        before = messages_before(connection, conversation, chosen.before + BURST_ALLOWANCE, before_id=first)
        after = messages_after(connection, conversation, chosen.after + BURST_ALLOWANCE, last)
        anchor = _anchor(before, own)
        matched = frozenset(row.message.message_id for row in own)
        context = [*before, *own, *after]
        segment = segment_around(
            anchor.message,
            [row.message for row in context],
            matched=matched,
            before=chosen.before,
            after=chosen.after,
            max_lines=chosen.max_lines,
        )
        lines = {line.message_id for line in segment.messages}
        return _Window(segment, tuple(row for row in context if row.message.message_id in lines), matched)


def _anchor(before: Sequence[MessageRow], own: Sequence[MessageRow]) -> MessageRow:
    """The last thing the user said up to the chunk's end, which its reply answers; else the chunk's first message.

    A chunk of one message by the person belongs to what was asked just before it.
    """
    asked = [row for row in own if row.message.role == "user"]
    if asked:
        return asked[-1]
    for row in reversed(before):
        if row.message.role == "user":
            return row
    return own[0]


def _filled(segment: Segment, opened: dict[int, Message]) -> Segment:
    lines = tuple(opened[line.message_id] for line in segment.messages)
    return Segment(segment.segment_id, opened[segment.anchor.message_id], lines)


def _hit(found: Found, text: str, item_id: str, segment: Segment | None, metadata: dict[str, Any]) -> Hit:
    return Hit(
        chunk_id=found.chunk_id,
        kind=found.kind,
        text=text,
        semantic_score=found.scores.semantic_score,
        lexical_score=found.scores.lexical_score,
        recency_score=found.scores.recency_score,
        retrieval_score=found.scores.retrieval_score,
        item_id=item_id,
        timestamp=found.timestamp if segment is None else segment.anchor.timestamp,
        segment=segment,
        metadata=metadata,
    )
