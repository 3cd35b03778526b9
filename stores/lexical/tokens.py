"""Terms as both parts of the lexical index keep them: one token each, the same at both ends."""

from __future__ import annotations

import re

from cem_rag_app.lexical import terms

LONGEST_QUERY = 200
"""Distinct terms of a query that are looked up."""

_SPLIT = re.compile("[\u19b0-\u19c9\u1cf2\u1cf3]")
"""Letters for us, separators for FTS5's ``unicode61``: every code point was tried against SQLite 3.40."""


def stored_terms(document: str) -> str:
    """What the full-text index keeps of a text: its terms, each one token for FTS5, separated by spaces."""
    return " ".join(_token(term) for term in terms(document))


def query_tokens(query: str) -> list[str]:
    """The distinct tokens of a question, in its order, :data:`LONGEST_QUERY` at most."""
    return list(dict.fromkeys(_token(term) for term in terms(query)))[:LONGEST_QUERY]


def _token(term: str) -> str:
    """A term as FTS5 keeps it whole: letters and digits as they are, anything else spelled in hexadecimal."""
    if term.isascii():
        return term if term.isalnum() else "x" + term.encode().hex()
    return term if term.isalnum() and _SPLIT.search(term) is None else "x" + term.encode().hex()
