"""``cem-rag bench storage``: what a memory weighs, and what packs would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cem_rag_app.errors import EmptyInputError, SettingsError
from cem_rag_app.evaluation.report import Report

LEVELS = (3, 12, 19)
DICTIONARY_SIZES = (0, 65_536, 112_640)
PARTS = ("packs", "index", "catalog", "lexical")


def weigh_memory(sizes: Mapping[str, int], settings: Mapping[str, Any]) -> Report:
    """Hold what a memory takes on disk against its plain text.

    Args:
        sizes: bytes of ``plain_text`` and of the parts ``packs``, ``index``, ``catalog`` and ``lexical``.
        settings: which memory it is, for the record.

    Returns:
        ``metrics``: ``bytes`` (``plain_text``, the parts, ``total``) and ``ratio`` = total / plain text.

    Raises:
        SettingsError: a part is missing or unknown.
        EmptyInputError: the memory is empty.
    """
    if set(sizes) != {"plain_text", *PARTS}:
        raise SettingsError(f"A memory's parts are plain_text, {', '.join(PARTS)}, not {', '.join(sorted(sizes))}.")
    if not sizes["plain_text"]:
        raise EmptyInputError("The memory holds no text to be weighed against.", remedy="Import something first.")
    total = sum(sizes[part] for part in PARTS)
    counted = {"plain_text": sizes["plain_text"], **{part: sizes[part] for part in PARTS}, "total": total}
    return Report(metrics={"bytes": counted, "ratio": round(total / sizes["plain_text"], 4)}, settings=dict(settings))


def bench_packs(
    texts: Sequence[str], levels: Sequence[int] = LEVELS, dictionary_sizes: Sequence[int] = DICTIONARY_SIZES
) -> Report:
    """Pack the same chunks at every level with every dictionary size.

    Returns:
        ``metrics``: ``points``, one :class:`~cem_rag_app.zpkg.measure.StoragePoint` for each level and size.

    Raises:
        EmptyInputError: there is no text.
    """
    from cem_rag_app.zpkg.measure import measure_storage

    chunks = [text.encode() for text in texts]
    if not any(chunks):
        raise EmptyInputError("There is no text to pack.", remedy="Give a corpus with text.")
    points = [asdict(point) for point in measure_storage(chunks, levels, dictionary_sizes)]
    return Report(metrics={"points": points}, settings={"chunks": len(chunks)})
