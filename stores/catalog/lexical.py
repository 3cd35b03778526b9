"""Full-text search over the terms that ``cem_rag_app.lexical`` makes: BM25 by SQLite's FTS5.

FTS5's own tokenizers find nothing inside a run of Han characters, or miss words of two; so terms are made by us, at
both ends, and FTS5 only keeps and ranks them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import ColumnElement, Connection, Integer, String, column, literal_column, select, table, text

from cem_rag_app.lexical import terms
from stores.catalog.ranges import IntArray
from stores.catalog.tables import chunks

LONGEST_QUERY = 200
"""Distinct terms of a query that are looked up."""

MOST_ROWS = 10_000
"""Rows a query may visit. BM25 gives a word of every second chunk next to nothing, yet costs a visit to each of them;
the rarer terms are taken first, as many as fit, so a query costs about the same in a memory of any size."""

_lexical = table("lexical", column("rowid"))
_vocabulary = table("lexical_terms", column("term", String), column("doc", Integer))


def stored_terms(document: str) -> str:
    """What the full-text index keeps of a text: its terms, each one token for FTS5."""
    return " ".join(_token(term) for term in terms(document))


def lexical_search(connection: Connection, query: str, limit: int, allowed: IntArray | None = None) -> dict[int, float]:
    """The chunks that share terms with a query.

    Args:
        connection: a snapshot.
        query: text; it is never compressed (I4).
        limit: chunks at most.
        allowed: only these chunks, ascending; None allows all.

    Returns:
        Chunk id -> BM25, larger is better; empty when the query has no term.
    """
    wanted = _worth_visiting(connection, list(dict.fromkeys(_token(term) for term in terms(query)))[:LONGEST_QUERY])
    if not wanted:
        return {}
    rank: ColumnElement[float] = literal_column("lexical.rank")
    statement = (
        select(_lexical.c.rowid, rank)
        # The join also leaves out rows of chunks that are gone.
        .join_from(_lexical, chunks, chunks.c.chunk_id == _lexical.c.rowid)
        .where(text("lexical MATCH :wanted").bindparams(wanted=" OR ".join(f'"{term}"' for term in wanted)))
        .order_by(rank, _lexical.c.rowid)
    )
    if allowed is None:
        return {row[0]: -row[1] for row in connection.execute(statement.limit(limit))}
    rows = connection.execute(statement).all()
    kept = np.isin(np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)), allowed)
    return {rows[i][0]: -rows[i][1] for i in np.flatnonzero(kept)[:limit]}


def _worth_visiting(connection: Connection, wanted: Sequence[str]) -> list[str]:
    """The terms that occur, rarest first, as long as their rows fit; the rarest always."""
    if not wanted:
        return []
    rows = connection.execute(select(_vocabulary.c.term, _vocabulary.c.doc).where(_vocabulary.c.term.in_(wanted)))
    taken: list[str] = []
    visited = 0
    for term, count in sorted(rows, key=lambda row: (row.doc, row.term)):
        visited += count
        if taken and visited > MOST_ROWS:
            break
        taken.append(term)
    return taken


def _token(term: str) -> str:
    """A term as FTS5 keeps it whole: letters and digits as they are, anything else spelled in hexadecimal."""
    return term if term.isalnum() else "x" + term.encode().hex()
