"""Cut a document into chunks of about the same size, losing nothing.

A chunk is the unit that is compressed, embedded, found and opened. Cuts fall, in order of preference, after a
paragraph, a sentence, a line, a clause, a space, and only then between two characters. The concatenation of the
chunks is the text, byte for byte: white space stays at the end of the chunk before it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_CLOSING = "\"'”’」』）)】》\\]"
# No alternative may rescan a run it failed on: a hostile text of a million spaces must stay linear.
_FINER = (
    re.compile(rf"[。！？!?…]+[{_CLOSING}]*\s*|(?<!\.)\.[{_CLOSING}]*\s+|(?<!\.)\.{{2,}}\s+"),  # sentence
    re.compile(r"\n\s*"),  # line
    re.compile(r"[，、；：]\s*|[,;:]\s+|\s[–—-]+\s+|——"),  # clause
    re.compile(r"\s+"),  # word
)
# A full stop after these, or after a single letter (an initial), does not end a sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|vs|etc|cf|No|Nos|Fig|Figs|Eq|approx|ca|e\.g|i\.e|a\.m|p\.m)$"
)
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def split_text(text: str, target: int = 440) -> list[str]:
    """Split a text into chunks of about ``target`` bytes of UTF-8.

    Args:
        text: any text.
        target: the size aimed for, in bytes; a chunk never exceeds twice that, save where one character
            with its combining marks does.

    Returns:
        Chunks whose concatenation equals ``text``; empty for an empty text.

    Raises:
        ValueError: when ``target`` is not positive.

    >>> split_text("One fish. Two fish. Red fish.", target=12)
    ['One fish. ', 'Two fish. ', 'Red fish.']
    """
    if target < 1:
        raise ValueError(f"target is a size in bytes and must be positive, not {target}")
    chunks: list[str] = []
    current: list[str] = []
    size = 0
    for piece, ends_paragraph in _pieces(text, target):
        length = _size(piece)
        # Stop where stopping lands nearer the target than taking one piece more.
        if current and size + length - target > abs(target - size):
            chunks.append("".join(current))
            current, size = [], 0
        current.append(piece)
        size += length
        if ends_paragraph and size * 5 >= target * 3:
            chunks.append("".join(current))
            current, size = [], 0
    if current:
        rest = "".join(current)
        # A crumb at the end would be a chunk with nothing to be found by.
        if chunks and size * 4 < target and _size(chunks[-1]) + size <= 2 * target:
            chunks[-1] += rest
        else:
            chunks.append(rest)
    return chunks


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, in order; their concatenation is the text.

    >>> sentences("Dr. Wu came at 5 p.m. on foot. 她笑了。“走吧！”他说。")
    ['Dr. Wu came at 5 p.m. on foot. ', '她笑了。', '“走吧！”', '他说。']
    """
    return [sentence for paragraph in _partition(text, _PARAGRAPH) for sentence in _partition(paragraph, _FINER[0])]


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _pieces(text: str, target: int) -> Iterator[tuple[str, bool]]:
    """Yield pieces of at most ``target`` bytes, and whether a paragraph ends with each."""
    for paragraph in _partition(text, _PARAGRAPH):
        parts = list(_finer(paragraph, target, 0))
        for number, part in enumerate(parts, start=1):
            yield part, number == len(parts)


def _finer(text: str, target: int, level: int) -> Iterator[str]:
    if level == len(_FINER):
        yield from _between_characters(text, target)
        return
    for part in _partition(text, _FINER[level]):
        if _size(part) <= target:
            yield part
        else:
            yield from _finer(part, target, level + 1)


def _partition(text: str, boundary: re.Pattern[str]) -> Iterator[str]:
    """Cut after every boundary; an abbreviation's full stop is none."""
    start = 0
    for match in boundary.finditer(text):
        if match.group()[0] == "." and _ABBREVIATION.search(text[max(0, match.start() - 8) : match.start()]):
            continue
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _between_characters(text: str, target: int) -> Iterator[str]:
    start = 0
    size = 0
    for at, character in enumerate(text):
        length = _size(character)
        joined = character in _JOINERS or unicodedata.combining(character) or (at > 0 and text[at - 1] == "\u200d")
        if at > start and size + length > target and not joined:
            yield text[start:at]
            start, size = at, 0
        size += length
    if start < len(text):
        yield text[start:]
