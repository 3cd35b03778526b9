"""The compact index: what its codes say of vectors, which rows a search looks at, and what a damaged file does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import IndexParameters
from stores.indexes.codes import index as code_index
from stores.indexes.codes import scan
from stores.indexes.codes.file import BLOCK
from stores.indexes.codes.index import CodeIndex
from stores.indexes.codes.kernels import pack_codes, unpack_codes
from stores.indexes.codes.plan import CodePlan, make_plan
from stores.indexes.codes.quantizer import Quantizer
from stores.indexes.codes.scan import CoarseScan

DIMENSION = 96
PARAMETERS = IndexParameters("codes", code_bytes=64)


def texts_like(count: int, seed: int = 1, dimension: int = DIMENSION) -> FloatArray:
    """Unit vectors whose spread falls from axis to axis, as those of texts do, around a mean that is not zero."""
    draw = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(7).standard_normal((dimension, dimension)))[0]
    along = draw.standard_normal((count, dimension)) * np.geomspace(1.0, 0.05, dimension)
    vectors = (along + 0.5 * np.eye(dimension)[3]) @ turn
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    return texts_like(6_000)


@pytest.fixture(scope="module")
def index(vectors: FloatArray) -> CodeIndex:
    made = CodeIndex.train(vectors[::2], PARAMETERS, len(vectors))
    made.add(vectors)
    return made


@given(
    bits=st.lists(st.integers(0, 8), min_size=2, max_size=9),
    coarse=st.integers(0, 9),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_codes_come_back_out_of_both_planes(bits: list[int], coarse: int, seed: int) -> None:
    coarse_octets = min(coarse, len(bits))
    wide = np.array([max(2, b) if o < coarse_octets else b for o, b in enumerate(bits)], dtype=np.int64)
    plan = CodePlan(wide, coarse_octets)
    draw = np.random.default_rng(seed)
    codes = (draw.integers(0, 256, (5, plan.axes)) & np.repeat((1 << wide) - 1, 8)).astype(np.uint8)
    first = np.zeros((5, plan.coarse_bytes), dtype=np.uint8)
    second = np.zeros((5, plan.fine_bytes), dtype=np.uint8)
    pack_codes(codes, plan.coarse_octets, plan.fine_bits, first, second)
    back = np.empty_like(codes)
    unpack_codes(first, second, plan.coarse_octets, plan.fine_bits, back)
    np.testing.assert_array_equal(back, codes)


@given(code_bytes=st.integers(2, 200), octets=st.integers(1, 20))
def test_a_plan_spends_its_bytes_on_the_widest_axes_first(code_bytes: int, octets: int) -> None:
    plan = make_plan(np.geomspace(1.0, 0.001, 8 * octets).astype(np.float32), code_bytes)
    assert plan.coarse_bytes + plan.fine_bytes == max(2, min(code_bytes, 8 * octets))
    assert (np.diff(plan.bits) <= 0).all()
    assert plan.bits.max() <= 8


def test_a_score_is_the_product_with_what_the_code_says(index: CodeIndex, vectors: FloatArray) -> None:
    quantizer = index.quantizer
    coarse, fine = quantizer.encode(vectors[:50])
    said = quantizer.decode(coarse, fine)
    for query in texts_like(5, seed=2):
        scores = quantizer.score(quantizer.tables(query), coarse, fine, np.arange(50))
        np.testing.assert_allclose(scores, said @ query, atol=2e-6)


def test_more_bytes_say_more(vectors: FloatArray) -> None:
    def error(code_bytes: int) -> float:
        quantizer = Quantizer.train(vectors, code_bytes)
        return float(np.square(quantizer.decode(*quantizer.encode(vectors)) - vectors).sum(axis=1).mean())

    errors = [error(code_bytes) for code_bytes in (24, 36, 48, 72, 96)]
    assert all(worse > 1.8 * better for worse, better in pairwise(errors))
    assert errors[-1] < 1e-3


def test_the_coarse_scan_ranks_as_the_coarse_plane_says(index: CodeIndex, vectors: FloatArray) -> None:
    quantizer = index.quantizer
    coarse, _ = quantizer.encode(vectors)
    scanned = CoarseScan(quantizer, coarse)
    rows = np.arange(len(vectors))
    for query in texts_like(10, seed=3):
        tables = quantizer.tables(query)
        wanted = np.argsort(-quantizer.score_coarsely(tables, coarse, rows))
        # FAISS rounds its tables to eight bits, so the last of the two hundred may be others.
        assert len(np.intersect1d(scanned.best(tables.axes, 200), wanted[:200])) >= 185
        assert np.isin(wanted[:100], scanned.best(tables.axes, 200)).all()


def test_two_threads_scan_as_one_does(index: CodeIndex, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    coarse, _ = index.quantizer.encode(vectors[:5_001])
    alone = CoarseScan(index.quantizer, coarse)
    monkeypatch.setattr(scan, "SHARED_FROM", 5_000)
    shared = CoarseScan(index.quantizer, coarse)
    assert len(shared) == 5_001
    for query in texts_like(10, seed=11):
        axes = index.quantizer.tables(query).axes
        # Equal scores at the border may be cut either way.
        assert len(np.intersect1d(shared.best(axes, 200), alone.best(axes, 200))) >= 195
        assert np.isin(alone.best(axes, 100), shared.best(axes, 200)).all()
    assert sorted(shared.best(axes, 9_000)) == list(range(5_001))


@pytest.mark.parametrize("share", [0.9, 0.4, 0.05, 0.01])
def test_every_way_to_filter_gives_what_scoring_all_of_them_would(
    index: CodeIndex, vectors: FloatArray, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = np.random.default_rng(5).random(len(vectors)) < share
    rows = np.flatnonzero(allowed)
    monkeypatch.setattr(code_index, "POOL", 300)
    monkeypatch.setattr(code_index, "EXACT_UP_TO", 100)
    agreed = 0
    for query in texts_like(20, seed=4):
        scores = index.similarities(query, rows)
        wanted = rows[np.argsort(-scores, kind="stable")[:10]]
        found, similarities = index.search(query, 10, allowed)
        assert allowed[found].all()
        assert (np.diff(similarities) <= 0).all()
        agreed += len(np.intersect1d(found, wanted))
    assert agreed >= 198


def test_a_filter_that_the_best_rows_all_fail_still_finds_ten(index: CodeIndex, vectors: FloatArray) -> None:
    (query,) = texts_like(1, seed=6)
    allowed = np.ones(len(vectors), dtype=bool)
    allowed[np.argsort(-(vectors @ query))[:3_000]] = False
    found, _ = index.search(query, 10, allowed)
    rows = np.flatnonzero(allowed)
    wanted = rows[np.argsort(-index.similarities(query, rows))[:10]]
    assert len(np.intersect1d(found, wanted)) >= 9


def test_rows_added_after_opening_are_found_and_saved(index: CodeIndex, vectors: FloatArray, tmp_path: Path) -> None:
    index.save(tmp_path / "codes.bin")
    opened = CodeIndex.load(tmp_path / "codes.bin", PARAMETERS)
    more = texts_like(3_000, seed=8)
    for start in range(0, 3_000, 700):
        opened.add(more[start : start + 700])
    assert len(opened) == 9_000
    for row in (0, 699, 2_999):
        found, similarities = opened.search(more[row], 1)
        assert found.tolist() == [6_000 + row]
        assert similarities[0] > 0.99
    opened.save(tmp_path / "again.bin")
    again = CodeIndex.load(tmp_path / "again.bin", PARAMETERS)
    for query in texts_like(5, seed=9):
        np.testing.assert_array_equal(again.search(query, 10)[0], opened.search(query, 10)[0])
    kept = again.kept(np.array([5, 6_001, 8_999]))
    np.testing.assert_array_equal(kept.vectors(np.arange(3)), again.vectors(np.array([5, 6_001, 8_999])))


def test_a_quantizer_is_outgrown_at_four_times_its_memory(vectors: FloatArray) -> None:
    made = CodeIndex.train(vectors[:1_000], PARAMETERS, 1_000)
    made.add(vectors[:3_999])
    assert not made.outgrown
    made.add(vectors[:1])
    assert made.outgrown


def test_opening_reads_no_codes(index: CodeIndex, tmp_path: Path) -> None:
    path = tmp_path / "codes.bin"
    index.save(path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1  # the last row of the fine plane
    path.write_bytes(damaged)
    opened = CodeIndex.load(path, PARAMETERS)
    assert len(opened) == 6_000
    opened.vectors(np.array([0]))
    with pytest.raises(MemoryCorruptError, match=f"damaged in block {5_999 // BLOCK}"):
        opened.vectors(np.array([5_999]))
    with pytest.raises(MemoryCorruptError, match="damaged in block"):
        opened.save(tmp_path / "copy.bin")


def test_no_flipped_bit_goes_unnoticed(vectors: FloatArray, tmp_path: Path) -> None:
    made = CodeIndex.train(vectors[:1_000], PARAMETERS, 1_000)
    made.add(vectors[:600])
    path = tmp_path / "codes.bin"
    made.save(path)
    sound = path.read_bytes()
    before = made.vectors(np.arange(600))
    harmless = 0
    for at in np.random.default_rng(1).integers(0, len(sound), 150).tolist():
        path.write_bytes(sound[:at] + bytes([sound[at] ^ (1 << at % 8)]) + sound[at + 1 :])
        try:
            after = CodeIndex.load(path, PARAMETERS).vectors(np.arange(600))
        except MemoryCorruptError:
            continue
        harmless += 1
        np.testing.assert_array_equal(after, before)  # a byte of padding
    assert harmless <= 3


def test_a_file_cut_short_anywhere_is_named(vectors: FloatArray, tmp_path: Path) -> None:
    made = CodeIndex.train(vectors[:1_000], PARAMETERS, 1_000)
    made.add(vectors[:10])
    path = tmp_path / "codes.bin"
    made.save(path)
    sound = path.read_bytes()
    for length in [*range(64), *range(64, len(sound), 997), len(sound) - 1]:
        path.write_bytes(sound[:length])
        with pytest.raises(MemoryCorruptError):
            CodeIndex.load(path, PARAMETERS)
