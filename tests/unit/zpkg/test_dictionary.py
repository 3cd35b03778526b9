"""Dictionaries are trained, shipped, and taken apart at the right byte."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import DictionaryError, FrameError, SettingsError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, dictionary_size_for, general_dictionary, train_dictionary
from cem_rag_app.zpkg.late import decompress, read_text


def handmade(offset: int) -> bytes:
    """A frame of one block with one sequence: no literals, a match of 8 bytes at ``offset``.

    Literals section: raw, size 0. Sequences: one, all three codes in RLE mode (RFC 8878, 3.1.1.3.2.1).
    """
    value = offset + 3  # offset values 1 to 3 mean recent offsets
    code = value.bit_length() - 1
    bits = 1 << code | (value - (1 << code))  # the end mark, then the extra bits of the offset
    stream = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    block = b"\x00" + b"\x01\x54" + bytes([0, code, 5]) + stream  # match-length code 5 is 8 bytes
    return b"\x00\x00" + (1 | 2 << 1 | len(block) << 3).to_bytes(3, "little") + block


def dictionaries(dictionary: Dictionary, other: Dictionary) -> Iterator[Dictionary]:
    yield from (dictionary, other, general_dictionary("zh"), general_dictionary("en"))


def test_the_content_is_exactly_what_matches_point_into(dictionary: Dictionary, other_dictionary: Dictionary) -> None:
    # zstd itself is the oracle: a match at offset o from the start of a chunk begins at content[-o].
    for one in dictionaries(dictionary, other_dictionary):
        size = len(one.content)
        for offset in (size, size - 1, size // 2, 8, 9, 100):
            start = size - offset
            assert decompress(handmade(offset), one) == one.content[start : start + 8]


def test_a_match_before_the_dictionary_is_an_error(dictionary: Dictionary) -> None:
    # libzstd 1.5.7 lets a hostile frame reach the dictionary's own tables, but nothing before them.
    with pytest.raises(FrameError):
        decompress(handmade(len(dictionary.data) + 1), dictionary)


def test_the_parts_of_a_dictionary_are_the_whole(dictionary: Dictionary, other_dictionary: Dictionary) -> None:
    for one in dictionaries(dictionary, other_dictionary):
        head = one.data[:8]
        repeats = struct.pack("<III", *one.repeat_offsets)
        assert head + one.entropy + repeats + one.content == one.data


def test_without_a_dictionary_there_are_only_the_standard_repeat_offsets() -> None:
    none = Dictionary(b"")
    assert (none.content, none.entropy, none.repeat_offsets, none.layout) == (b"", b"", (1, 4, 8), None)


@given(seed=st.integers(0, 10_000), size=st.sampled_from([4096, 8192, 20_000]))
@settings(max_examples=15)
def test_any_trained_dictionary_can_be_taken_apart(seed: int, size: int) -> None:
    pick = random.Random(seed)
    letters = pick.choices("abcdefghij 的了我你是", k=pick.randint(2, 16))
    words = ["".join(pick.choices(letters, k=pick.randint(1, 9))) for _ in range(pick.randint(5, 300))]
    samples = [" ".join(pick.choices(words, k=20)).encode() for _ in range(600)]
    trained = train_dictionary(samples, size)
    assert decompress(handmade(len(trained.content)), trained) == trained.content[:8]


@given(data=st.data())
@settings(max_examples=300)
def test_damaged_tables_are_a_named_error_or_still_tables(dictionary: Dictionary, data: st.DataObject) -> None:
    assert dictionary.layout is not None
    broken = bytearray(dictionary.data[: data.draw(st.integers(0, len(dictionary.data)))])
    if broken:
        place = data.draw(st.integers(0, min(len(broken), dictionary.layout.content_start) - 1))
        broken[place] ^= data.draw(st.integers(1, 255))
    if not broken:
        return
    try:
        assert len(Dictionary(bytes(broken)).content) > 0
    except DictionaryError:
        return
    with contextlib.suppress(DictionaryError):
        Compressor(Dictionary(bytes(broken)))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_general_dictionary_is_shipped_for_each_language(language: str) -> None:
    shipped = general_dictionary(language)  # type: ignore[arg-type]
    assert len(shipped.data) == 32_768
    assert zstandard.ZstdCompressionDict(shipped.data, dict_type=zstandard.DICT_TYPE_FULLDICT).dict_id() > 0
    assert general_dictionary(language) is shipped  # type: ignore[arg-type]


def test_a_general_dictionary_shortens_text_of_its_language() -> None:
    chat = "嗯嗯，我也觉得挺好的，那我们周末一起去看电影吧？\n好呀好呀，你想看什么？我都可以的哈哈。"
    prose = "The results of the experiment were compared with those of the previous study; they agree."
    for language, text in (("zh", chat), ("en", prose)):
        general = general_dictionary(language)  # type: ignore[arg-type]
        frame = Compressor(general).compress(text.encode())
        assert len(frame) < 0.7 * len(Compressor(Dictionary(b"")).compress(text.encode()))
        assert read_text(frame, general) == text


def test_no_dictionary_is_shipped_for_other_languages() -> None:
    with pytest.raises(DictionaryError, match="'fr'"):
        general_dictionary("fr")  # type: ignore[arg-type]


def test_training_is_repeatable(texts: list[bytes]) -> None:
    assert train_dictionary(texts, 4096).digest == train_dictionary(texts, 4096).digest


def test_samples_beyond_a_hundred_times_the_size_are_thinned_out_evenly() -> None:
    ends = [(b"start of the corpus %d " % n) * 20 for n in range(1500)]
    ends += [(b"END of all %d " % n) * 20 for n in range(1500)]
    assert sum(map(len, ends)) > 2 * 100 * 4096
    trained = train_dictionary(ends, 4096)
    assert b"corpus" in trained.content
    assert b"END of" in trained.content


@pytest.mark.parametrize(
    ("text_bytes", "size"), [(0, 4096), (98_303, 4096), (240_000, 10_000), (2_703_360, 112_640), (10**9, 112_640)]
)
def test_a_dictionary_grows_with_its_text_up_to_its_limit(text_bytes: int, size: int) -> None:
    assert dictionary_size_for(text_bytes) == size


@pytest.mark.parametrize("samples", [[], [b"too short"], [b"x" * 50] * 5])
def test_too_few_samples_are_a_named_error(samples: list[bytes]) -> None:
    with pytest.raises(DictionaryError, match="general_dictionary"):
        train_dictionary(samples, 4096)


def test_a_dictionary_too_small_to_be_one_is_refused(texts: list[bytes]) -> None:
    with pytest.raises(DictionaryError, match="too small"):
        train_dictionary(texts, 100)


@pytest.mark.parametrize("level", [0, 23, -101])
def test_a_level_zstd_does_not_have_is_refused(level: int) -> None:
    with pytest.raises(SettingsError, match=f"level {level}"):
        Compressor(Dictionary(b""), level)
