"""libzstd is the oracle: what the parser reads, executed naively here and nowhere else, is the text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.symbols.parse import Symbols, parse_frame
from cem_rag_app.cem.symbols.tables import read_dictionary, shared_tables
from cem_rag_app.errors import DictionaryError, FrameError, FrameTooLargeError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

ENGLISH = (
    "The boundary layer over a flat plate thickens downstream; its heat transfer falls as the square root of distance. "
    "A slender wing at high speed carries a shock wave, and the pressure behind the shock rises with the Mach number. "
)
CHINESE = "我们昨天晚上一起去吃了火锅，你说太辣了，可是还是吃了很多！今天天气真好，要不要出去走走？宝贝晚安，明天见。"
NONE = Dictionary(b"")


def test_of_every_level_and_dictionary_the_sequences_stand_for_the_text() -> None:
    for dictionary in (NONE, general_dictionary("en"), general_dictionary("zh"), Dictionary(CHINESE.encode() * 3)):
        for level in range(1, 23):
            for text in (ENGLISH.encode(), CHINESE.encode(), ENGLISH.encode() * 20 + CHINESE.encode() * 9, b"", b"a"):
                assert_stands_for(frame_of(text, dictionary, level), dictionary, text)


@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(ENGLISH.split()).map(lambda word: f"{word} ".encode()),
            st.text(alphabet=CHINESE, max_size=12).map(str.encode),
            st.integers(1, 300).map(lambda size: b"=" * size),
        ),
        max_size=60,
    ),
    level=st.integers(1, 22),
    dictionary=st.sampled_from(["none", "en", "zh"]),
)
def test_any_bytes_at_any_level_come_back(pieces: list[bytes], level: int, dictionary: str) -> None:
    data = b"".join(pieces)
    assert_stands_for(frame_of(data, named(dictionary), level), named(dictionary), data)


@pytest.mark.parametrize("kind", ["random", "run", "text"])
def test_chunks_of_several_blocks_carry_tables_and_offsets_from_block_to_block(kind: str) -> None:
    generator = np.random.default_rng(5)
    words = ENGLISH.split()
    data = {
        "random": generator.integers(0, 256, 300_000, dtype=np.uint8).tobytes(),
        "run": b"x" * 400_000,
        "text": " ".join(words[i] for i in generator.integers(0, len(words), 70_000)).encode(),
    }[kind]
    frame = frame_of(data, NONE, 9)
    symbols = parse_frame(frame, NONE)
    assert concatenated(symbols, NONE) == data


def test_fields_that_a_pack_leaves_out_are_read_where_they_are_present() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        5, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=1, write_checksum=1, write_dict_id=1
    )
    dictionary = general_dictionary("en")
    trained = zstandard.ZstdCompressionDict(dictionary.data)
    for text in (ENGLISH.encode(), ENGLISH.encode() * 2000):
        frame = zstandard.ZstdCompressor(dict_data=trained, compression_params=parameters).compress(text)
        assert concatenated(parse_frame(frame, dictionary), dictionary) == text
        with pytest.raises(FrameError, match="another dictionary"):
            parse_frame(frame, general_dictionary("zh"))
        with pytest.raises(FrameError):
            parse_frame(frame + b"\0", dictionary)
        with pytest.raises(FrameError):
            parse_frame(frame[:-1], dictionary)


def test_a_dictionary_match_is_named_by_its_place_in_the_dictionary() -> None:
    content = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 2
    dictionary = Dictionary(content)
    tables = read_dictionary(dictionary.data)
    frame = raw_dictionary_frame(b"!!" + content[62:110] + b"??", content)
    spans = parse_frame(frame, dictionary).spans.tolist()
    in_dictionary = [(-origin - 1, length) for origin, length, _ in spans if origin < 0]
    assert in_dictionary, "the phrase was not found in the dictionary"
    for place, length in in_dictionary:
        assert tables.content[place : place + length].tobytes() in content[62:110]


def test_a_match_into_the_chunk_refers_to_the_spans_it_points_at() -> None:
    phrase = b"the shock wave detaches from the blunt body"
    symbols = parse_frame(frame_of(phrase + b" and then, later, " + phrase, NONE, 19), NONE)
    origins = [origin for origin, _, _ in symbols.spans.tolist()]
    assert len(symbols.literals) < 2 * len(phrase)
    assert max(origins) < len(symbols.literals)
    assert min(origins) >= 0


def test_a_chunk_beyond_the_limit_is_refused_before_it_is_read() -> None:
    bomb = frame_of(b"\0" * (3 << 20), NONE, 19)
    assert len(bomb) < 20_000
    with pytest.raises(FrameTooLargeError):
        parse_frame(bomb, NONE)
    with pytest.raises(FrameTooLargeError):
        parse_frame(frame_of(b"ab" * 600, NONE, 3), NONE, limit=1000)


@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused_or_read_as_libzstd_reads_them(data: bytes) -> None:
    assert_agrees_with_libzstd(data, NONE)


@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 7)), min_size=1, max_size=4),
    level=st.sampled_from([1, 3, 12, 19]),
    dictionary=st.sampled_from(["none", "en", "zh"]),
    repeat=st.integers(1, 4),
)
def test_flipped_bits_are_refused_or_read_as_libzstd_reads_them(
    flips: list[tuple[int, int]], level: int, dictionary: str, repeat: int
) -> None:
    frame = bytearray(frame_of((ENGLISH + CHINESE).encode() * repeat, named(dictionary), level))
    for place, bit in flips:
        frame[place % len(frame)] ^= 1 << bit
    assert_agrees_with_libzstd(bytes(frame), named(dictionary))


def test_a_frame_cut_anywhere_is_refused() -> None:
    for dictionary in (NONE, general_dictionary("zh")):
        frame = frame_of((CHINESE + ENGLISH).encode(), dictionary, 19)
        for size in range(len(frame)):
            with pytest.raises(FrameError):
                parse_frame(frame[:size], dictionary)


def test_a_damaged_dictionary_is_named() -> None:
    good = general_dictionary("en").data
    for bad in (good[:6], good[:60], good[:8] + b"\xff" * 200, good[:8] + b"\0" * 500):
        with pytest.raises(DictionaryError):
            read_dictionary(bad)


def test_a_dictionary_is_parsed_once() -> None:
    assert shared_tables(general_dictionary("en")) is shared_tables(Dictionary(general_dictionary("en").data))


@cache
def named(name: str) -> Dictionary:
    return NONE if name == "none" else general_dictionary(name)  # type: ignore[arg-type]


@cache
def compressor(digest: str, level: int, dictionary: Dictionary) -> Compressor:
    return Compressor(dictionary, level)


def frame_of(data: bytes, dictionary: Dictionary, level: int) -> bytes:
    if dictionary.data and dictionary.data[:4] != b"\x37\xa4\x30\xec":
        return raw_dictionary_frame(data, dictionary.data, level)
    return compressor(dictionary.digest, level, dictionary).compress(data)


def raw_dictionary_frame(data: bytes, content: bytes, level: int = 19) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0, write_checksum=0, write_dict_id=0
    )
    raw = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=raw, compression_params=parameters).compress(data)


def content_of(dictionary: Dictionary) -> bytes:
    return shared_tables(dictionary).content.tobytes()


def concatenated(symbols: Symbols, dictionary: Dictionary) -> bytes:
    literals, content = symbols.literals.tobytes(), content_of(dictionary)
    return b"".join(
        literals[origin : origin + length] if origin >= 0 else content[-origin - 1 : -origin - 1 + length]
        for origin, length, _ in symbols.spans.tolist()
    )


def executed(symbols: Symbols, dictionary: Dictionary) -> bytes:
    """Execute the matches one byte after another: what the product never does."""
    content = content_of(dictionary)
    out = bytearray(content)
    literals = symbols.literals.tobytes()
    used = 0
    for run, length, offset in symbols.sequences.tolist():
        out += literals[used : used + run]
        used += run
        for _ in range(length):
            out.append(out[-offset])
    return bytes(out[len(content) :])


def assert_stands_for(frame: bytes, dictionary: Dictionary, text: bytes) -> None:
    symbols = parse_frame(frame, dictionary)
    assert executed(symbols, dictionary) == text
    assert concatenated(symbols, dictionary) == text
    starts = np.cumsum([0, *symbols.spans[:, 1].tolist()])
    assert symbols.spans[:, 2].tolist() == starts[:-1].tolist()


def assert_agrees_with_libzstd(frame: bytes, dictionary: Dictionary) -> None:
    try:
        symbols = parse_frame(frame, dictionary)
    except FrameError:
        return
    trained = zstandard.ZstdCompressionDict(dictionary.data) if dictionary.data else None
    decompressor = zstandard.ZstdDecompressor(dict_data=trained, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        text = decompressor.decompress(frame, max_output_size=1 << 21)
    except zstandard.ZstdError:
        # It refuses some frames for what does not matter here: a window too large, a checksum.
        return
    assert concatenated(symbols, dictionary) == text
