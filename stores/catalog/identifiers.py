"""Identifiers that others gave - of messages, turns, documents - kept in few bytes, and given back letter by letter.

Most of them are numbers, digests or UUIDs spelled in hexadecimal, which a catalog would otherwise store at twice
their size, and once more in an index. The forms are part of the catalog's format: add one, never change one.
"""

from __future__ import annotations

import re
import uuid

Identifier = int | bytes | str
"""How an identifier is stored: a number, a tagged byte string, or the text itself."""

TAIL = 5
"""Bytes or characters at an identifier's end that its index holds: what tells nearly all of them apart."""

_PLAIN, _COUNTED, _UUID, _PLACED = 0, 1, 2, 3
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2}){8,64}")
_COUNT = re.compile(r"([0-9a-f]{24})\.([1-9][0-9]{0,17})")
_DASHED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLACE = re.compile(r"([0-9a-f]{32}):(0|[1-9][0-9]{0,17})")


def packed(identifier: str) -> Identifier:
    r"""The form in which an identifier is stored; equal identifiers have equal forms, others have others.

    >>> packed("1958"), packed("0123456789abcdef"), packed("d7")
    (1958, b'\x00\x01#Eg\x89\xab\xcd\xef', 'd7')
    """
    if _NUMBER.fullmatch(identifier):
        return int(identifier)
    if _HEXADECIMAL.fullmatch(identifier):
        return bytes([_PLAIN]) + bytes.fromhex(identifier)
    if _DASHED.fullmatch(identifier):
        return bytes([_UUID]) + uuid.UUID(identifier).bytes
    if match := _COUNT.fullmatch(identifier):
        return bytes([_COUNTED]) + _shortest(int(match[2])) + bytes.fromhex(match[1])
    if match := _PLACE.fullmatch(identifier):
        return bytes([_PLACED]) + _shortest(int(match[2])) + bytes.fromhex(match[1])
    return identifier


def unpacked(stored: Identifier) -> str:
    """The identifier that was packed.

    Raises:
        ValueError: it is no form that :func:`packed` gives.
    """
    if isinstance(stored, int):
        return str(stored)
    if isinstance(stored, str):
        return stored
    tag = stored[0] if stored else -1
    if tag == _PLAIN:
        return stored[1:].hex()
    if tag == _UUID:
        return str(uuid.UUID(bytes=stored[1:]))
    if tag == _COUNTED:
        return f"{stored[-12:].hex()}.{int.from_bytes(stored[1:-12], 'big')}"
    if tag == _PLACED:
        return f"{stored[-16:].hex()}:{int.from_bytes(stored[1:-16], 'big')}"
    raise ValueError(f"{stored!r} is no stored identifier")


def _shortest(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
