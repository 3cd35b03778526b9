"""The form of a chat bubble: cutting long text, and Markdown found and taken off."""

from __future__ import annotations

import re

_MARKDOWN: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("code fence", re.compile(r"^\s*```.*$", re.MULTILINE), ""),
    ("heading", re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE), ""),
    ("quote", re.compile(r"^\s{0,3}>\s+", re.MULTILINE), ""),
    ("bullet", re.compile(r"^\s{0,6}(?:[-*+]\s+|[•●▪◦‣]\s*)(?=\S)", re.MULTILINE), ""),
    (
        "numbered list",
        re.compile(
            r"^\s{0,6}(?:\d{1,2}[.、)）](?!\d)\s*|[(（]\d{1,2}[)）]\s*|[①-⑳]\s*|[一二三四五六七八九十]、)(?=\S)",
            re.MULTILINE,
        ),
        "",
    ),
    ("bold", re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    ("code", re.compile(r"`([^`\n]+)`"), r"\1"),
    ("link", re.compile(r"!?\[([^\]\n]*)\]\(([^)\s]+)\)"), r"\1"),
    ("rule", re.compile(r"^\s*(?:-{3,}|\*{3,}|_{3,})\s*$", re.MULTILINE), ""),
    ("table", re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE), ""),
)
_STRONG = "。！？!?…\n"
_WEAK = "，,；;、：: ~～"


def markdown_marks(text: str) -> list[str]:
    """Names of the Markdown constructs in a text, each once."""
    return [name for name, pattern, _ in _MARKDOWN if pattern.search(text)]


def strip_markdown(text: str) -> str:
    """Take Markdown off and keep the words; what a mark uncovers (``## **x**``) is taken off too."""
    while True:
        plain = text
        for _, pattern, kept in _MARKDOWN:
            plain = pattern.sub(kept, plain)
        if plain == text:
            return text.strip()
        text = plain


def split_long(text: str, limit: int) -> list[str]:
    """Cut a line into pieces of at most ``limit`` characters, as late as punctuation allows.

    A piece ends after a sentence's end where one lies late enough, else after a weaker mark, else before the word or
    number that the limit would cut, else at the limit.
    A comma or a full stop that ends a piece is dropped, as one does when the next bubble goes on.

    Args:
        text: One line.
        limit: Characters a piece at most, >= 1.
    """
    pieces: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _cut(rest, limit)
        pieces.append(rest[:cut].rstrip("，,。；;、：: "))
        rest = rest[cut:].strip()
    pieces.append(rest)
    return [piece for piece in pieces if piece]


def _cut(text: str, limit: int) -> int:
    """Where to cut: an index in [1, limit]."""
    for marks, least in ((_STRONG, limit // 3), (_WEAK, limit // 4)):
        for index in range(limit, max(0, least), -1):
            inside_number = text[index - 1] in ".,:" and text[index : index + 1].isdigit()
            if text[index - 1] in marks and text[index : index + 1] not in _STRONG and not inside_number:
                return index
    word = re.search(r"[A-Za-z0-9.,:'_@/-]+\Z", text[:limit])
    if word and word.start() > limit // 4 and re.match(r"[A-Za-z0-9]", text[limit:]):
        return word.start()
    return limit
