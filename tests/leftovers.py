"""Looking for what should be gone: every byte of every file in a folder, whatever the file is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

WINDOW = 6
"""Letters of a word that give it away: search structures cut words where they share a beginning with another."""


def leftovers(
    folder: Path, texts: Iterable[str] = (), words: Iterable[str] = (), raw: Iterable[bytes] = ()
) -> list[str]:
    """Where in a folder a text, a piece of a word, or bytes still stand; empty when they are gone.

    Args:
        folder: looked through with all its folders.
        texts: whole, as UTF-8 and as both kinds of UTF-16.
        words: any ``WINDOW`` letters of one of them in a row, as UTF-8.
        raw: bytes as they are.
    """
    wanted = {text.encode(code): text for text in texts for code in ("utf-8", "utf-16-le", "utf-16-be")}
    wanted |= {word[at : at + WINDOW].encode(): word for word in words for at in range(len(word) - WINDOW + 1)}
    wanted |= {piece: f"{len(piece)} bytes" for piece in raw}
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found += [f"{path.relative_to(folder)}: {name}" for needle, name in wanted.items() if needle in content]
    return found
