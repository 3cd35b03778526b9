"""Bytes -> text lines, bounded and numbered, in whatever encoding each line is."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cem_rag_app.errors import EncodingError, InputError, LineTooLongError, MalformedLineError

LINE_LIMIT = 1 << 20
"""Bytes of a line (characters, in UTF-16). A longer one is refused without being read whole."""

_SAVE_AS = "Save the file as UTF-8 and import it again."
_SHORTEN = "One message is one line; check that the file is a chat export, or remove that line."


def text_lines(path: Path, encodings: Counter[str]) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, text with its line end)``, holding one line in memory.

    A byte order mark decides for the whole file (UTF-8, UTF-16). Without one every line is UTF-8, or else GB18030, so
    that a file glued together from both is read right; a line that could be either is what the line before it was.

    Args:
        path: The file.
        encodings: Counts the lines by encoding; plain ASCII counts as UTF-8.

    Raises:
        EncodingError: A line is neither, or the file is UTF-32.
        LineTooLongError: A line exceeds ``LINE_LIMIT``.
        MalformedLineError: A line holds a NUL byte.
        InputError: The file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
                raise EncodingError("the file is UTF-32, which is not supported.", file=path, line=1, remedy=_SAVE_AS)
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                yield from _utf16_lines(path, encodings)
                return
            begin = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
            file.seek(begin)
            neighbour = _first_plain_encoding(file)
            file.seek(begin)
            number = 0
            while raw := file.readline(LINE_LIMIT + 1):
                number += 1
                if len(raw) > LINE_LIMIT:
                    raise too_long(path, number)
                if b"\0" in raw:
                    raise _nul(path, number)
                text, encoding = _decode(raw, path, number, neighbour)
                encodings[encoding] += 1
                neighbour = encoding if not raw.isascii() else neighbour
                yield number, text
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", file=path, remedy="Check the path.") from error


def _utf16_lines(path: Path, encodings: Counter[str]) -> Iterator[tuple[int, str]]:
    number = 0
    with path.open(encoding="utf-16", newline="\n") as file:
        while True:
            try:
                line = file.readline(LINE_LIMIT + 1)
            except UnicodeError as error:
                raise EncodingError(
                    f"the line is not UTF-16 although the file begins so ({error}).",
                    file=path,
                    line=number + 1,
                    remedy=_SAVE_AS,
                ) from error
            if not line:
                return
            number += 1
            if len(line) > LINE_LIMIT:
                raise too_long(path, number)
            if "\0" in line:
                raise _nul(path, number)
            encodings["utf-16"] += 1
            yield number, line


def _decode(raw: bytes, path: Path, number: int, neighbour: str) -> tuple[str, str]:
    """One line and its encoding; ``neighbour`` is that of the lines around it."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if neighbour == "gb18030" and _may_be_gb18030(raw, text):
            return raw.decode("gb18030"), "gb18030"
        return text, "utf-8"
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"the line is neither UTF-8 nor GB18030 (byte {raw[error.start]:#04x} at position {error.start}).",
            file=path,
            line=number,
            remedy=_SAVE_AS,
        ) from error
    if not _reads_as_chinese(text):
        raise EncodingError(
            "the line is not UTF-8, and read as GB18030 it is no text.", file=path, line=number, remedy=_SAVE_AS
        )
    return text, "gb18030"


def _first_plain_encoding(file: BinaryIO) -> str:
    """The encoding of the first line that can only be one of the two; UTF-8 if there is none."""
    while raw := file.readline(LINE_LIMIT + 1):
        if len(raw) > LINE_LIMIT:
            break
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            return "gb18030"
        if not raw.isascii() and not _may_be_gb18030(raw, text):
            break
    return "utf-8"


def _may_be_gb18030(raw: bytes, as_utf8: str) -> bool:
    """Whether a line that is UTF-8 reads as GB18030 too.

    Han characters of GB18030 are pairs of bytes that, in a short line, can happen to be UTF-8 for Latin, Greek or
    Hebrew letters (one line in 200 of a real chat); real Chinese in UTF-8 has letters beyond those.
    """
    if raw.isascii() or any(ord(letter) > 0x7FF for letter in as_utf8):
        return False
    try:
        return all(letter.isascii() or "\u4e00" <= letter <= "\u9fff" for letter in raw.decode("gb18030"))
    except UnicodeDecodeError:
        return False


def _reads_as_chinese(text: str) -> bool:
    """Whether text decoded as GB18030 is text: almost any bytes decode, and other encodings give odd letters."""
    foreign = sum(1 for letter in text if ord(letter) > 0x7F)
    odd = sum(1 for letter in text if ord(letter) > 0x7F and _is_odd(letter))
    return odd * 8 <= foreign


def _is_odd(letter: str) -> bool:
    """Unassigned, private, control; Greek and Cyrillic; Bopomofo: what chats in Chinese do not hold."""
    return (
        unicodedata.category(letter) in ("Co", "Cn", "Cc", "Cs")
        or "\u0370" <= letter <= "\u052f"
        or "\u3100" <= letter <= "\u312f"
    )


def too_long(path: Path, number: int) -> LineTooLongError:
    """The error for a line, or the text in it, that exceeds ``LINE_LIMIT``."""
    return LineTooLongError(f"the line is longer than {LINE_LIMIT:,} bytes.", file=path, line=number, remedy=_SHORTEN)


def _nul(path: Path, number: int) -> MalformedLineError:
    return MalformedLineError(
        "the line holds a NUL byte: the file is damaged, or UTF-16 without its mark.",
        file=path,
        line=number,
        remedy=_SAVE_AS,
    )
