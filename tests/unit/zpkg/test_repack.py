"""A memory that has grown is packed again with its own dictionary."""

from __future__ import annotations

import pytest

from cem_rag_app.errors import FrameError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from cem_rag_app.zpkg.late import decompress
from cem_rag_app.zpkg.repack import recompress


def test_repacked_frames_hold_the_same_chunks_in_less_space(dictionary: Dictionary, texts: list[bytes]) -> None:
    general = general_dictionary("zh")
    old = [Compressor(general).compress(text) for text in texts]
    new = list(recompress(old, general, Compressor(dictionary)))
    assert [decompress(frame, dictionary) for frame in new] == texts
    assert sum(map(len, new)) < sum(map(len, old))


def test_repacking_is_lazy_and_stops_at_a_damaged_frame(dictionary: Dictionary, texts: list[bytes]) -> None:
    compressor = Compressor(dictionary)
    frames = recompress([compressor.compress(texts[0]), b"\x00\x00\x01"], dictionary, compressor)
    assert next(frames) == compressor.compress(texts[0])
    with pytest.raises(FrameError):
        next(frames)
