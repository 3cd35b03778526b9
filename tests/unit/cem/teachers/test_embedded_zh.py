"""The shipped Chinese encoder: a sum over a table, small, quick to open, and honest about damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cem_rag_app.cem.teachers.embedded_zh import SHIPPED, EmbeddedZhEncoder, NgramTable, full_rows
from cem_rag_app.cem.teachers.ngrams import build_fold
from cem_rag_app.errors import CheckpointError


def small_table(**changes: np.ndarray) -> dict[str, np.ndarray]:
    parts = {
        "fold": build_fold({}),
        "keys": np.array([ord("好"), ord("吃")], dtype=np.int64),
        "buckets": np.array([1, 0], dtype=np.int32),
        "topics": np.array([[3, 0], [0, 4], [1, 1]], dtype=np.int8),
        "topic_scales": np.array([1.0, 0.5, 0.25], dtype=np.float32),
        "weights": np.array([0.0, 1.0, 2.0], dtype=np.float32),
    }
    return parts | changes


def splitmix64(value: int) -> int:
    value &= 2**64 - 1
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def signs(key: int) -> np.ndarray:
    """256 signs of a row, as the module's text defines them, one bit at a time."""
    words = [splitmix64(key + step * 0x9E3779B97F4A7C15) for step in range(1, 5)]
    return np.array([1.0 if word >> bit & 1 else -1.0 for word in words for bit in range(64)])


def test_a_row_is_its_topics_and_its_own_direction(tmp_path: Path) -> None:
    parts = small_table()
    rows = full_rows(
        parts["topics"] * parts["topic_scales"][:, None], parts["weights"], parts["keys"], parts["buckets"]
    )
    assert rows.shape == (3, 2 + 256)
    np.testing.assert_allclose(rows[:, :2], [[3, 0], [0, 2], [0.25, 0.25]])
    np.testing.assert_array_equal(rows[0, 2:], np.zeros(256))
    np.testing.assert_allclose(rows[1, 2:], signs(ord("吃")) / 16)
    np.testing.assert_allclose(rows[2, 2:], signs(-1) / 8)


def test_a_vector_is_the_sum_of_its_rows(tmp_path: Path) -> None:
    save_file(small_table(weights=np.zeros(3, dtype=np.float32)), tmp_path / "t.safetensors")
    table = NgramTable.load(tmp_path / "t.safetensors")
    # 好 twice, 吃 once, and 吗, which is unknown and takes the shared row; the pairs are unknown and share none.
    np.testing.assert_allclose(table.sum("好好吃吗".encode())[:2], [6.25, 2.25], rtol=1e-5)


def test_a_question_damps_what_it_repeats_where_the_artefact_says_so(tmp_path: Path) -> None:
    parts = small_table(weights=np.zeros(3, dtype=np.float32), query_power=np.array([0.5], dtype=np.float32))
    save_file(parts, tmp_path / "t.safetensors")
    table = NgramTable.load(tmp_path / "t.safetensors")
    # 好 four times counts twice, 吃 once.
    np.testing.assert_allclose(table.query_sum("好好好好吃".encode())[:2], [6, 2], rtol=1e-5)
    np.testing.assert_allclose(table.sum("好好好好吃".encode())[:2], [12, 2], rtol=1e-5)


def test_without_a_power_a_question_is_read_like_a_document(tmp_path: Path) -> None:
    save_file(small_table(), tmp_path / "t.safetensors")
    encoder = EmbeddedZhEncoder(tmp_path / "t.safetensors")
    texts = ["好好吃", "", "吃"]
    np.testing.assert_allclose(encoder.encode_queries(texts), encoder.encode_documents(texts), atol=1e-6)
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)


def test_the_width_is_told_without_reading_the_table(tmp_path: Path) -> None:
    save_file(small_table(), tmp_path / "t.safetensors")
    encoder = EmbeddedZhEncoder(tmp_path / "t.safetensors")
    assert encoder.dimension == 2 + 256
    assert encoder._table is None
    assert EmbeddedZhEncoder().dimension == EmbeddedZhEncoder().table.dimension
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        _ = EmbeddedZhEncoder(tmp_path / "gone.safetensors").dimension


def test_the_sum_is_linear_so_a_text_in_pieces_adds_up() -> None:
    table = EmbeddedZhEncoder().table
    whole = table.sum("今天去吃火锅。明天下雨！".encode())
    np.testing.assert_allclose(
        whole, table.sum("今天去吃火锅。".encode()) + table.sum("明天下雨！".encode()), atol=1e-4
    )


def test_related_texts_are_nearer_than_unrelated_ones() -> None:
    encoder = EmbeddedZhEncoder()
    query = encoder.encode_queries(["周末我们一起去吃火锅吧"])[0]
    near, far = encoder.encode_documents(["上次那家火锅店的毛肚特别好吃", "考试没考好，心里很难受"])
    assert query @ near > query @ far + 0.1


def test_traditional_characters_are_read_as_simplified() -> None:
    traditional, simplified = EmbeddedZhEncoder().encode_documents(["學習機器", "学习机器"])
    np.testing.assert_array_equal(traditional, simplified)


def test_the_artefact_is_at_most_twenty_four_megabytes() -> None:
    assert SHIPPED.stat().st_size <= 24_000_000


def test_its_revision_changes_with_the_artefact(tmp_path: Path) -> None:
    save_file(small_table(), tmp_path / "t.safetensors")
    assert EmbeddedZhEncoder(tmp_path / "t.safetensors").revision != EmbeddedZhEncoder().revision


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from cem_rag_app.cem.teachers.registry import load_teacher;"
        "load_teacher('embedded-zh').encode_queries(['你好']);"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": np.zeros((2, 2), dtype=np.int8)},
        {"topics": np.zeros((3, 2), dtype=np.float32)},
        {"topic_scales": np.zeros(4, dtype=np.float32)},
        {"weights": np.zeros(3, dtype=np.float64)},
        {"fold": np.zeros(100, dtype=np.uint16)},
        {"query_power": np.zeros(2, dtype=np.float32)},
        {"keys": np.zeros((2, 1), dtype=np.int64)},
        {"buckets": np.array([-1, 2], dtype=np.int32)},
    ],
)
def test_parts_of_the_wrong_shape_are_refused(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    save_file(small_table(**changes), tmp_path / "t.safetensors")
    with pytest.raises(CheckpointError):
        NgramTable.load(tmp_path / "t.safetensors")


def test_a_missing_a_torn_and_an_incomplete_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    with pytest.raises(CheckpointError, match=r"t\.safetensors"):
        NgramTable.load(path)
    path.write_bytes(SHIPPED.read_bytes()[:5000])
    with pytest.raises(CheckpointError):
        NgramTable.load(path)
    parts = load_file(SHIPPED)
    del parts["weights"]
    save_file(parts, path)
    with pytest.raises(CheckpointError, match="weights"):
        NgramTable.load(path)
