"""The ways of compressing that the codec study compares, and the points of its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import zstandard

from cem_rag_app.errors import MissingDependencyError, SettingsError
from cem_rag_app.zpkg.compress import EXPECTED_CHUNK_BYTES, Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, dictionary_size_for, general_dictionary, train_dictionary

LEVELS = (-5, 1, 3, 9, 12, 19, 22)
SIZES = (16_384, 32_768, 65_536, 112_640, 262_144, 524_288, 1_048_576)
CHUNK_TARGETS = (200, 320, 440, 700, 1_000, 1_400, 2_000)
RAW_LITERALS, MAGICLESS = 1002, 10
"""zstd's ZSTD_c_literalCompressionMode (2: never) and ZSTD_c_format (1: no magic number); zstd.h, experimental part."""


@dataclass(frozen=True, slots=True)
class Compression:
    """One way to compress.

    Attributes:
        level: of zstd, -100 to 22, not 0.
        dictionary: ``none``, ``general`` (the shipped English one), ``own`` (trained on the collection itself, as large
            as a memory would make it) or ``corpus-BYTES`` (trained on the training corpus).
        raw_literals: leave literals as they are, instead of coding them with a Huffman tree.
        chunk_target: bytes of text a chunk aims for.
    """

    level: int = 19
    dictionary: str = "general"
    raw_literals: bool = False
    chunk_target: int = 440


def study_dictionary(name: str, chunks: Sequence[bytes]) -> Dictionary:
    """The dictionary of a name, see `Compression`; ``chunks`` are what ``own`` or ``corpus-BYTES`` is trained on.

    Raises:
        SettingsError: no dictionary has that name.
        DictionaryError: there is too little text for one of that size.
    """
    if name == "none":
        return Dictionary(b"")
    if name == "general":
        return general_dictionary("en")
    if name == "own":
        return train_dictionary(chunks, dictionary_size_for(sum(map(len, chunks))))
    kind, _, size = name.partition("-")
    if kind != "corpus" or not size.isascii() or not size.isdigit():
        raise SettingsError(
            f"The study has no dictionary {name!r}.", remedy="Take none, general, own or corpus-BYTES (corpus-65536)."
        )
    return train_dictionary(chunks, int(size))


def compress(chunks: Sequence[bytes], dictionary: Dictionary, compression: Compression) -> list[bytes]:
    """Frames of chunks, as zpkg makes them but for the literals where those are to stay raw.

    Raises:
        SettingsError: zstd has no such level.
        MissingDependencyError: raw literals without the package that can leave them.
    """
    compressor = Compressor(dictionary, compression.level)
    if compression.raw_literals:
        return with_literals(chunks, dictionary, compression.level, mode=2)
    return [compressor.compress(chunk) for chunk in chunks]


def with_literals(chunks: Sequence[bytes], dictionary: Dictionary, level: int, *, mode: int) -> list[bytes]:
    """Compress with the other front end of zstd, which can set the mode of the literals (0: auto, 1: coded, 2: raw).

    Every other parameter is set to what `Compressor` uses, so that with mode 0 the frames are byte for byte its own.
    """
    try:
        from backports.zstd import CompressionParameter, ZstdCompressor, ZstdDict
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Raw literals need another front end of zstd.", remedy="pip install backports.zstd==1.8.0"
        ) from error
    like = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=EXPECTED_CHUNK_BYTES, dict_size=len(dictionary.data)
    )
    options = {
        CompressionParameter.window_log: like.window_log,
        CompressionParameter.hash_log: like.hash_log,
        CompressionParameter.chain_log: like.chain_log,
        CompressionParameter.search_log: like.search_log,
        CompressionParameter.min_match: like.min_match,
        CompressionParameter.target_length: like.target_length,
        CompressionParameter.strategy: like.strategy,
        CompressionParameter.content_size_flag: 0,
        CompressionParameter.checksum_flag: 0,
        CompressionParameter.dict_id_flag: 0,
        MAGICLESS: 1,
        RAW_LITERALS: mode,
    }
    known = ZstdDict(dictionary.data) if dictionary.data else None
    compressor = ZstdCompressor(options=options, zstd_dict=known)
    return [compressor.compress(chunk, mode=ZstdCompressor.FLUSH_FRAME) for chunk in chunks]


def grid(*, quick: bool = False) -> list[Compression]:
    """The points that students are measured at: every axis through the defaults, not every pair."""
    base = Compression()
    if quick:
        return [
            base,
            Compression(-5),
            Compression(3, "none"),
            Compression(raw_literals=True),
            replace(base, chunk_target=1_000),
        ]
    points = [Compression(level, dictionary) for dictionary in ("general", "none", "own") for level in LEVELS]
    points += [Compression(level, f"corpus-{size}") for size in SIZES for level in (3, 19)]
    points += [
        Compression(level, dictionary, raw_literals=True)
        for dictionary in ("general", "none", "corpus-112640")
        for level in (3, 19)
    ]
    points += [Compression(dictionary=name, chunk_target=size) for size in CHUNK_TARGETS for name in ("general", "own")]
    return list(dict.fromkeys(points))


def probe_grid(*, quick: bool = False) -> list[Compression]:
    """The points that probes are fitted at; each costs a regression of its own."""
    if quick:
        return [Compression(-5), Compression()]
    points = [Compression(level) for level in LEVELS]
    points += [Compression(level, "none") for level in (-5, 3, 19)]
    points += [Compression(19, f"corpus-{size}") for size in (16_384, 112_640, 1_048_576)]
    points += [Compression(-5, f"corpus-{size}") for size in (16_384, 112_640, 1_048_576)]
    points += [
        Compression(level, dictionary, raw_literals=True)
        for dictionary in ("general", "none", "corpus-112640")
        for level in (3, 19)
    ]
    return points
