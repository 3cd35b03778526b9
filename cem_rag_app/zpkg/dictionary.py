"""The shared dictionary of a pack: trained on the corpus, or one of the two shipped with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Literal

import zstandard

from cem_rag_app.errors import DictionaryError
from cem_rag_app.zpkg.tables import DictionaryLayout, locate_tables

SMALLEST_DICTIONARY = 4096
SAMPLES_PER_BYTE = 100
"""Bytes of samples a byte of dictionary is trained on; more takes longer and gains nothing measurable."""

TEXT_PER_DICTIONARY_BYTE = 24

_SEGMENT_BYTES = 8  # d of fastCover
_EPOCH_BYTES = 64  # k of fastCover: short, because phrases are; 50 to 100 measured best on English and Chinese


@dataclass(frozen=True)
class Dictionary:
    """A trained zstd dictionary, whole; ``Dictionary(b"")`` means none."""

    data: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole dictionary, hexadecimal: its name outside a pack."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def layout(self) -> DictionaryLayout | None:
        """Where its parts lie, or None without a dictionary.

        Raises:
            DictionaryError: the bytes are no trained dictionary.
        """
        return locate_tables(self.data) if self.data else None

    @cached_property
    def content(self) -> bytes:
        """The bytes that matches point into: what follows the entropy tables and the repeat offsets.

        A match with offset ``o`` at position ``p`` of a chunk (``o > p``) starts at ``len(content) + p - o``.
        """
        return self.data[self.layout.content_start :] if self.layout else b""

    @cached_property
    def entropy(self) -> bytes:
        """The Huffman table and the offset, match-length and literal-length FSE tables, as in RFC 8878 section 5."""
        return self.data[self.layout.entropy] if self.layout else b""

    @cached_property
    def repeat_offsets(self) -> tuple[int, int, int]:
        """The three recent offsets a frame starts with; 1, 4, 8 without a dictionary (RFC 8878, 3.1.1.5)."""
        return self.layout.repeat_offsets if self.layout else (1, 4, 8)


def dictionary_size_for(text_bytes: int, largest: int = 112_640) -> int:
    """Bytes of dictionary worth having for so much text: a twenty-fourth of it, 4 KiB at least.

    A pack carries its dictionary, so a large one for little text costs more than it saves. Measured with level 19
    on English documents and Chinese chat from 100 to 24,000 chunks (``docs/compression.md``): the best share lies
    between a tenth and a fortieth, and is flat around the one taken here.
    """
    return max(SMALLEST_DICTIONARY, min(largest, text_bytes // TEXT_PER_DICTIONARY_BYTE))


def train_dictionary(samples: Sequence[bytes], size: int = 112_640) -> Dictionary:
    """Train a dictionary with COVER over 8-byte segments (fastCover, d = 8).

    Args:
        samples: chunks like those to be compressed; of more than 100 times ``size`` bytes, chunks evenly spread
            over the whole are used.
        size: bytes of the dictionary, an upper bound: few samples give a smaller one.

    Raises:
        DictionaryError: the samples are too few or too alike to train on; compress without a dictionary of
            one's own, or with a general one.
    """
    if size < SMALLEST_DICTIONARY:
        raise DictionaryError(f"A dictionary of {size} bytes is too small.", remedy=f"Ask for {SMALLEST_DICTIONARY}.")
    step = max(1, sum(map(len, samples)) // (SAMPLES_PER_BYTE * size))
    usable: list[bytes | bytearray | memoryview] = [
        sample for sample in samples[::step] if len(sample) >= _SEGMENT_BYTES
    ]
    try:
        # The level only shapes the entropy tables: those of a fast level serve all levels better than those of 19.
        trained = zstandard.train_dictionary(size, usable, k=_EPOCH_BYTES, d=_SEGMENT_BYTES, f=20, accel=1, level=3)
    except (zstandard.ZstdError, ValueError) as error:
        raise DictionaryError(
            f"No dictionary of {size} bytes can be trained on {len(usable)} samples ({error}).",
            remedy="Give more samples, ask for a smaller dictionary, or use general_dictionary.",
        ) from error
    dictionary = Dictionary(trained.as_bytes())
    if dictionary.layout is None:
        raise DictionaryError("Training gave an empty dictionary.", remedy="Use general_dictionary.")
    return dictionary


@cache
def general_dictionary(language: Literal["zh", "en"]) -> Dictionary:
    """The shipped dictionary for memories too small for one of their own: conversational and plain prose.

    Raises:
        DictionaryError: no dictionary of that language is shipped.
    """
    file = resources.files("cem_rag_app.zpkg") / "dictionaries" / f"{language}.dict"
    if language not in ("zh", "en") or not file.is_file():
        raise DictionaryError(f"No general dictionary is shipped for {language!r}.", remedy="Use 'zh' or 'en'.")
    return Dictionary(file.read_bytes())
