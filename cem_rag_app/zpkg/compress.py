"""Text bytes -> frame. The way in; it never reads a frame back."""

from __future__ import annotations

import threading

import zstandard

from cem_rag_app.errors import DictionaryError, SettingsError
from cem_rag_app.zpkg.dictionary import Dictionary

# zstd adapts its search to the expected chunk: parameters are fixed by this, not by the size of each chunk,
# so that equal bytes always make equal frames.
EXPECTED_CHUNK_BYTES = 512
LARGEST_LEVEL = 22
SMALLEST_LEVEL = -100
"""Levels below 0 trade size for speed and leave literals raw; at -100 next to nothing is compressed any more."""


class Compressor:
    """Compresses chunks against one dictionary; may be shared by threads.

    Frames are zstd frames without magic number, content size, checksum and dictionary id: some ten bytes that
    every one of millions of short chunks would repeat, and that the pack states once.

    Args:
        dictionary: the dictionary of the pack the frames will lie in.
        level: zstd level, 1 (fast) to 22 (small). Those below 0 serve the CEM view `frame`; no memory is written so.

    Raises:
        SettingsError: zstd has no such level.
        DictionaryError: the dictionary is damaged.
    """

    def __init__(self, dictionary: Dictionary, level: int = 19) -> None:
        if level == 0 or not SMALLEST_LEVEL <= level <= LARGEST_LEVEL:  # 0 would be zstd's word for its default
            raise SettingsError(f"zstd has no level {level}.", remedy=f"Use 1 to {LARGEST_LEVEL}.")
        self.dictionary = dictionary
        self.level = level
        self._local = threading.local()
        self._parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            source_size=EXPECTED_CHUNK_BYTES,
            dict_size=len(dictionary.data),
            format=zstandard.FORMAT_ZSTD1_MAGICLESS,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
        )
        self._local.compressor = self._new_compressor()

    def compress(self, data: bytes) -> bytes:
        """One chunk as one frame; equal chunks give equal frames."""
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = self._new_compressor()
        frame: bytes = compressor.compress(data)
        return frame

    def _new_compressor(self) -> zstandard.ZstdCompressor:
        if self.dictionary.layout is None:
            return zstandard.ZstdCompressor(compression_params=self._parameters)
        try:
            dictionary = zstandard.ZstdCompressionDict(self.dictionary.data, dict_type=zstandard.DICT_TYPE_FULLDICT)
            return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=self._parameters)
        except zstandard.ZstdError as error:
            raise DictionaryError(f"The dictionary cannot be loaded ({error}).", remedy="Train it again.") from error
