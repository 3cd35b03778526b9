"""Frames cut into patches: the same as their text's, at every level and with every dictionary."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.cem.patches import Patches, PatchReader
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.training.vocabulary import vocabulary_hashes
from cem_rag_app.errors import FrameError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

WORDS = ("the", "of", "a", "boundary", "layer", "plate", "heat", "wing", "shock", "flow")
JOINED = 3
BUCKETS = 64
READER = PatchReader(vocabulary_hashes((word,) for word in WORDS), BUCKETS, JOINED)


def read(texts: list[str], level: int = 19, dictionary: Dictionary | None = None) -> Patches:
    dictionary = dictionary or general_dictionary("en")
    compressor = Compressor(dictionary, level)
    return READER.read([compressor.compress(text.encode()) for text in texts], shared_tables(dictionary))


def words_of(patches: Patches, chunk: int = 0) -> list[list[str]]:
    """Each patch of a chunk as words; pieces of unknown words are stars."""
    found = []
    for patch in range(patches.bounds[chunk], patches.bounds[chunk + 1]):
        rows = patches.indices[patches.entries[patch] : patches.entries[patch + 1]]
        found.append([WORDS[row] if row < len(WORDS) else "*" for row in rows])
    return found


def pieces_of(word: str) -> int:
    """How many hashes an unknown word has: its first three letters, then four and five at each letter."""
    return 1 if len(word) <= 3 else 1 + (len(word) - 3) + max(0, len(word) - 4)


def naive(text: str) -> list[list[str]]:
    """What the compiled reader should find, in a few lines."""
    patches: list[list[str]] = []
    waiting: list[str] = []
    common = 0
    for word in re.findall(r"[a-z0-9]+", text.lower()):
        own = [word] if word in WORDS else ["*"] * pieces_of(word)
        if word in WORDS[:JOINED] and common < 4:
            waiting += own
            common += 1
            continue
        patches.append(waiting + own)
        waiting, common = [], 0
    return [*patches, waiting] if common else patches


def test_common_words_join_the_patch_of_the_next_word() -> None:
    assert words_of(read(["The boundary layer of the plate"])) == [
        ["the", "boundary"],
        ["layer"],
        ["of", "the", "plate"],
    ]


def test_common_words_at_the_end_make_the_last_patch() -> None:
    assert words_of(read(["heat of the"])) == [["heat"], ["of", "the"]]


def test_a_list_of_common_words_is_cut_after_five() -> None:
    assert words_of(read(["of of of of of of wing"])) == [["of"] * 5, ["of", "wing"]]


def test_an_unknown_word_is_its_pieces_with_one_length() -> None:
    patches = read(["wing hypersonic"])
    assert words_of(patches) == [["wing"], ["*"] * pieces_of("hypersonic")]
    assert patches.weights[0] == 1.0
    assert patches.weights[1:] == pytest.approx(1 / math.sqrt(pieces_of("hypersonic")))


def test_chunks_keep_their_order_and_empty_ones_have_no_patch() -> None:
    patches = read(["", "wing", "...", "heat flow"])
    assert patches.lengths.tolist() == [0, 1, 0, 2]
    assert words_of(patches, 3) == [["heat"], ["flow"]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "hypersonic", "Re", "x", "12"]), max_size=80).map(" ".join),
    st.sampled_from([-5, 1, 9, 19]),
    st.sampled_from(["en", "zh"]),
)
def test_a_frame_has_the_patches_of_its_text(text: str, level: int, language: str) -> None:
    assert words_of(read([text], level, general_dictionary(language))) == naive(text)


def test_selected_chunks_are_what_reading_them_alone_gives() -> None:
    texts = ["the wing of a plate", "", "shock flow heat", "hypersonic"]
    chosen = read(texts).select(np.array([3, 0, 1, 0]))
    alone = read([texts[3], texts[0], texts[1], texts[0]])
    for name in ("bounds", "entries", "indices", "weights"):
        assert getattr(chosen, name).tolist() == getattr(alone, name).tolist()


def test_many_patches_outgrow_the_first_arrays() -> None:
    patches = read([" ".join(["wing"] * 4000)])
    assert patches.lengths.tolist() == [4000]
    assert set(patches.indices.tolist()) == {WORDS.index("wing")}


def test_a_damaged_frame_is_named() -> None:
    frame = Compressor(general_dictionary("en"), 19).compress(b"the wing of a plate")
    with pytest.raises(FrameError, match="1"):
        READER.read([frame, frame[:-3]], shared_tables(general_dictionary("en")))
