"""What is to be forgotten, and which messages, documents and chunks that is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, false, or_, select, true

from cem_rag_app.errors import InputError
from stores.catalog.conversation import MessageRow, messages_of_chunk
from stores.catalog.identifiers import packed
from stores.catalog.items import read_rows_by_key
from stores.catalog.tables import items, messages, sources, voices


@dataclass(frozen=True, slots=True)
class Selection:
    """What to forget: everything that any of its parts names.

    Attributes:
        messages: ranges of message ids, both ends included.
        people: speakers, each with all that they said.
        items: ids of documents.
        sources: of messages and of documents.
        everything: all messages and all documents; the persona's rules stay, and the memory itself.

    Raises:
        InputError: it names nothing, or a range whose end comes before its beginning.
    """

    messages: tuple[tuple[int, int], ...] = ()
    people: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    everything: bool = False

    def __post_init__(self) -> None:
        if not (self.messages or self.people or self.items or self.sources or self.everything):
            raise InputError("Nothing is named that could be forgotten.", remedy="Name messages, a person, a source …")
        for first, last in self.messages:
            if last < first:
                raise InputError(f"The range {first}..{last} ends before it begins.", remedy=f"Say {last}..{first}.")


@dataclass(frozen=True, slots=True)
class Targets:
    """What a selection comes to in one state of a catalog.

    Attributes:
        message_ids: the messages to forget.
        item_keys: the documents to forget.
        chunk_ids: every chunk that holds a part of them, ascending.
        survivors: chunk id -> the messages of that chunk that stay, in order; only chunks that have some.
    """

    message_ids: frozenset[int]
    item_keys: tuple[int, ...]
    chunk_ids: tuple[int, ...]
    survivors: dict[int, tuple[MessageRow, ...]]

    @property
    def nothing(self) -> bool:
        """Whether the selection meets nothing."""
        return not self.message_ids and not self.item_keys


def find(connection: Connection, selection: Selection) -> Targets:
    """Look up what a selection means now."""
    found = connection.execute(
        select(messages.c.message_id, messages.c.chunk_id).where(_chosen_messages(selection))
    ).all()
    message_ids = frozenset(row.message_id for row in found)
    touched = {row.chunk_id for row in found}
    survivors: dict[int, tuple[MessageRow, ...]] = {}
    if not selection.everything:
        for chunk_id in sorted(touched):
            rows = messages_of_chunk(connection, chunk_id)
            staying = tuple(row for row in rows if row.message.message_id not in message_ids)
            if staying:
                survivors[chunk_id] = staying
    keys = _chosen_items(connection, selection)
    for row in read_rows_by_key(connection, keys):
        touched.update(row.chunk_ids)
    return Targets(message_ids, tuple(keys), tuple(sorted(touched)), survivors)


def _chosen_messages(selection: Selection) -> ColumnElement[bool]:
    if selection.everything:
        return true()
    return or_(
        false(),
        *(messages.c.message_id.between(first, last) for first, last in selection.messages),
        messages.c.voice_key.in_(
            select(voices.c.voice_key).where(
                or_(voices.c.speaker.in_(selection.people), voices.c.source.in_(selection.sources))
            )
        ),
    )


def _chosen_items(connection: Connection, selection: Selection) -> list[int]:
    chosen = (
        true()
        if selection.everything
        else or_(
            items.c.item_id.in_([packed(item_id) for item_id in selection.items]),
            items.c.source_key.in_(select(sources.c.source_key).where(sources.c.source.in_(selection.sources))),
        )
    )
    return list(connection.execute(select(items.c.item_key).where(chosen).order_by(items.c.item_key)).scalars())
