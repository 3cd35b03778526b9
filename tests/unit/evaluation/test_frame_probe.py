"""The probe: the same bytes have the same features, and what can be read off bytes is read."""

from __future__ import annotations

import numpy as np
import pytest

from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import SettingsError
from cem_rag_app.evaluation.frame_probe import COLUMNS, finds_itself, fit_probe, hash_ngrams

WORDS = ["wing", "shock", "layer", "index", "library", "plate", "heat", "flow", "mach", "book"]


def passages(count: int) -> tuple[list[bytes], np.ndarray]:
    """Texts of three words, and vectors that are the sums of their words' own."""
    generator = np.random.default_rng(1)
    own = generator.normal(size=(len(WORDS), 24)).astype(np.float32)
    chosen = [generator.choice(len(WORDS), 3, replace=False) for _ in range(count)]
    return [" ".join(WORDS[n] for n in some).encode() for some in chosen], unit_rows(
        np.stack([own[some].sum(axis=0) for some in chosen])
    )


def test_features_are_unit_rows_of_the_bytes_alone() -> None:
    features = hash_ngrams([b"a wing", b"", b"a wing", b"a wind"])
    assert features.shape == (4, COLUMNS)
    assert np.linalg.norm(features, axis=1) == pytest.approx([1, 0, 1, 1], abs=1e-5)
    assert np.array_equal(features[0], features[2])
    assert not np.allclose(features[0], features[3])
    assert np.count_nonzero(hash_ngrams([b"ab"])) == 3  # a, b and ab


def test_a_probe_finds_what_the_bytes_say_and_nothing_in_noise() -> None:
    texts, vectors = passages(400)
    probe = fit_probe(texts, vectors, held_out=100, columns=512)
    guessed = probe.encode(texts[300:])
    assert guessed.shape == (100, 24)
    assert np.linalg.norm(guessed, axis=1) == pytest.approx(1, abs=1e-5)
    assert (guessed * vectors[300:]).sum(axis=1).mean() > 0.9
    assert probe.self_retrieval > 0.4
    noise = [row.tobytes() for row in np.random.default_rng(2).integers(0, 256, (400, 20), dtype=np.uint8)]
    assert fit_probe(noise, vectors, held_out=100, columns=512).self_retrieval < 0.15


def test_the_same_passages_make_the_same_probe() -> None:
    texts, vectors = passages(60)
    first, second = (fit_probe(texts, vectors, held_out=20, columns=512) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    assert first.ridge == second.ridge


def test_what_finds_itself_scores_by_rank_and_ties_count_against_it() -> None:
    eye = np.eye(3, dtype=np.float32)
    assert finds_itself(eye, eye) == 1.0
    assert finds_itself(eye, eye[[1, 0, 2]]) == pytest.approx((2 / np.log2(4) + 1) / 3)  # the two are third, by ties
    assert finds_itself(eye, np.zeros_like(eye)) == pytest.approx(1 / np.log2(4))


@pytest.mark.parametrize(("count", "held_out", "vectors"), [(10, 10, 10), (10, 0, 10), (10, 2, 9), (0, 1, 0)])
def test_too_few_passages_and_vectors_that_do_not_fit_are_refused(count: int, held_out: int, vectors: int) -> None:
    with pytest.raises(SettingsError, match=f"{count} passages, {held_out} held out, and {vectors} vectors"):
        fit_probe([b"x"] * count, np.zeros((vectors, 4), np.float32), held_out=held_out)
