"""The storage table counts everything a pack holds."""

from __future__ import annotations

from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import train_dictionary
from cem_rag_app.zpkg.late import decompress
from cem_rag_app.zpkg.measure import measure_storage


def test_a_point_counts_header_dictionary_table_and_frames(texts: list[bytes]) -> None:
    (point,) = measure_storage(texts, [3], [4096])
    dictionary = train_dictionary(texts, 4096)
    frames = sum(len(Compressor(dictionary, 3).compress(text)) for text in texts)
    assert point.dictionary_size == len(dictionary.data)
    assert point.pack_bytes == 32 + len(dictionary.data) + 4 * len(texts) + frames
    assert (point.level, point.chunks, point.text_bytes) == (3, 400, sum(map(len, texts)))
    assert point.ratio == point.text_bytes / point.pack_bytes
    assert point.read_ms is None


def test_every_level_is_measured_with_every_size(texts: list[bytes]) -> None:
    points = measure_storage(texts[:50], iter((1, 19)), iter((0, 4096)), open_frame=decompress)
    assert [(point.dictionary_size > 0, point.level) for point in points] == [
        (False, 1),
        (False, 19),
        (True, 1),
        (True, 19),
    ]
    assert all(point.read_ms is not None and point.read_ms > 0 and point.compress_mb_per_second > 0 for point in points)


def test_nothing_is_measured_on_nothing() -> None:
    assert measure_storage([], [3], [4096]) == []
