"""The static baseline is the textbook's sum, and its table survives the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import CheckpointError, EmptyInputError
from cem_rag_app.evaluation.static import StaticEncoder, make_static
from cem_rag_app.schema import FloatArray
from tests.unit.evaluation.encoders import Letters

TEXTS = ["The wind, the dome.", "the sheep", "The wind and the sheep", "A dome and a sheep"]


def test_a_text_is_the_weighted_sum_of_its_words_without_the_common_direction() -> None:
    table = make_static(TEXTS, Letters(), least=2, smoothing=0.1)
    # 16 words: the 5, sheep 3, a 2, and 2, dome 2, wind 2
    assert table.words == ("the", "sheep", "a", "and", "dome", "wind")
    counts = dict(zip(table.words, (5, 3, 2, 2, 2, 2), strict=True))
    weights = {word: 0.1 / (0.1 + count / 16) for word, count in counts.items()}

    def plain(text: str) -> FloatArray:
        return sum(weights[word] * Letters().encode_documents([word])[0] for word in text.split())

    texts = ["the wind the dome", "the sheep", "the wind and the sheep", "a dome and a sheep"]
    sums = unit_rows(np.stack([plain(text) for text in texts]))
    common = np.linalg.svd(sums)[2][0]
    expected = plain("a sheep") - (plain("a sheep") @ common) * common
    assert table.encode_documents(["A sheep, unheard-of!"])[0] == pytest.approx(
        expected / np.linalg.norm(expected), abs=0.02
    )


def test_a_common_word_counts_less_than_a_rare_one() -> None:
    table = make_static(TEXTS, Letters(), least=1, smoothing=0.1)
    both, rare, common = table.encode_documents(["the sheep", "sheep", "the"])
    assert both @ rare > both @ common


def test_the_order_of_the_texts_does_not_matter_and_a_text_without_a_known_word_has_a_unit_vector() -> None:
    table, other = make_static(TEXTS, Letters(), least=1), make_static(TEXTS[::-1], Letters(), least=1)
    assert table.words == other.words
    assert table.encode_queries(["sheep dome"]) == pytest.approx(other.encode_queries(["sheep dome"]), abs=0.02)
    assert table.encode_documents(["zebra", ""]).tolist() == [[1.0] + [0.0] * 25] * 2


def test_a_saved_table_gives_the_same_vectors(tmp_path: Path) -> None:
    table = make_static(TEXTS, Letters(), least=1)
    table.save(tmp_path / "t", {"texts": "four"})
    loaded = StaticEncoder.load(tmp_path / "t")
    assert (loaded.name, loaded.dimension, loaded.words) == ("static:letters", 26, table.words)
    assert np.array_equal(loaded.encode_documents(TEXTS), table.encode_documents(TEXTS))


def test_a_damaged_table_and_a_corpus_without_words_are_refused(tmp_path: Path) -> None:
    make_static(TEXTS, Letters(), least=1).save(tmp_path)
    for file, data in (
        ("static.safetensors", b"no"),
        ("config.json", b'{"words": ["a"], "teacher": "x"}'),
        ("config.json", b"[]"),
        ("config.json", b"{"),
    ):
        kept = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(data)
        with pytest.raises(CheckpointError, match="static table"):
            StaticEncoder.load(tmp_path)
        (tmp_path / file).write_bytes(kept)
    with pytest.raises(EmptyInputError, match="No word occurs 5 times"):
        make_static(["a b"], Letters())
