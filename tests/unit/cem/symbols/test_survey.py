"""Counting what frames are made of agrees with looking at them one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.symbols.parse import parse_frame
from cem_rag_app.cem.symbols.survey import count_symbols
from cem_rag_app.errors import FrameError, FrameTooLargeError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

NONE = Dictionary(b"")
ENGLISH = general_dictionary("en")
WORDS = [
    "the",
    "boundary",
    "layer",
    "over",
    "a",
    "flat",
    "plate",
    "thickens",
    "downstream",
    "and",
    "its",
    "heat",
    "transfer",
    "falls",
]


@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join), max_size=6),
    level=st.integers(1, 22),
    dictionary=st.sampled_from([NONE, ENGLISH]),
)
def test_counts_are_those_of_each_frame_looked_at_alone(texts: list[str], level: int, dictionary: Dictionary) -> None:
    compressor = Compressor(dictionary, level)
    frames = [compressor.compress(text.encode()) for text in texts]
    counts = count_symbols(frames, dictionary)
    looked = [parse_frame(frame, dictionary) for frame in frames]
    assert counts.literals.tolist() == [one.literals.size for one in looked]
    assert counts.sequences.tolist() == [len(one.sequences) for one in looked]
    assert counts.spans.tolist() == [len(one.spans) for one in looked]
    assert counts.text.tolist() == [len(text.encode()) for text in texts]


def test_a_damaged_frame_and_one_too_large_are_named_by_their_number() -> None:
    frame = Compressor(NONE).compress(b"a wing " * 40)
    with pytest.raises(FrameError, match="Frame 1 of the batch"):
        count_symbols([frame, frame[:-3]], NONE)
    large = Compressor(NONE).compress(b"x" * ((1 << 20) + 1))
    with pytest.raises(FrameTooLargeError, match="Frame 0 of the batch"):
        count_symbols([large], NONE)
