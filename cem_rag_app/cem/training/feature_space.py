"""Choosing the features a student will know, and what their vectors start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cem_rag_app.cem.features import FeatureConfig, FeatureReader
from cem_rag_app.cem.symbols.lookup import hash_all
from cem_rag_app.cem.training.vocabulary import choose_tokens, choose_vocabulary, token_text, vocabulary_hashes
from cem_rag_app.schema import FloatArray

if TYPE_CHECKING:
    from cem_rag_app.cem.training.config import NgramConfig

_COMMON_SHARE = 0.02
"""A feature in this share of the chunks starts with half the weight of a rare one."""
_LENGTH = 0.3
"""Length of a rare word's first vector."""
_PAIR_SHARE = 0.3
"""A pair is heard beside its words, so it starts as a small correction."""


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """A vocabulary with what is known of it.

    Attributes:
        reader: finds its features in frames.
        names: text of each feature, for the teacher to read.
        importance: (v,) float32, how long each first vector is.
    """

    reader: FeatureReader
    names: Sequence[str]
    importance: FloatArray


def word_space(config: NgramConfig, texts: Sequence[str]) -> FeatureSpace:
    """Words, word pairs and buckets, for languages that write blanks."""
    vocabulary = choose_vocabulary(texts, words=config.words, pairs=config.word_pairs)
    features = FeatureConfig(
        kind="words",
        edges=config.edges,
        pairs=config.word_pairs > 0,
        buckets=config.buckets,
        count_weight=config.count_weight,
    )
    share = np.array([count / len(texts) for _, count in vocabulary], dtype=np.float32)
    single = np.array([1.0 if len(feature) == 1 else _PAIR_SHARE for feature, _ in vocabulary], dtype=np.float32)
    return FeatureSpace(
        reader=FeatureReader(vocabulary_hashes(feature for feature, _ in vocabulary), features),
        names=[" ".join(feature) for feature, _ in vocabulary],
        importance=_importance(share, single),
    )


def token_space(config: NgramConfig, texts: Sequence[str]) -> FeatureSpace:
    """Character n-grams, for Chinese."""
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder

    fold = EmbeddedZhEncoder().table.fold
    keys, share = choose_tokens(texts, fold, grams=config.grams)
    features = FeatureConfig(
        kind="tokens", edges=config.edges, pairs=False, buckets=0, count_weight=config.count_weight
    )
    return FeatureSpace(
        reader=FeatureReader(hash_all(keys), features, fold),
        names=[token_text(int(key)) for key in keys],
        importance=_importance(share, np.ones_like(share)),
    )


def first_vectors(space: FeatureSpace, alone: FloatArray, rank: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Start from what the teacher says of each feature alone, reduced by PCA and shorter where frequent.

    The idea is model2vec's (MinishLab): a static table distilled from single words is already half a student.

    Args:
        space: the features.
        alone: (v, d) the teacher's vectors of ``space.names``.
        rank: width of a feature's vector, at most ``d``.
        seed: of the small random part.

    Returns:
        ``(rows, rank)`` vectors and the ``(rank, d)`` projection back into the teacher's space.
    """
    return principal_vectors(alone, space.importance, space.reader.size, rank, seed)


def principal_vectors(
    alone: FloatArray, weight: FloatArray, rows: int, rank: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """`first_vectors` of features of the given weights, and small random ones for the rows behind them.

    Args:
        alone: (v, d) the teacher's vectors of the features' names.
        weight: (v,) how long each first vector is.
        rows: of the table, at least ``v``.
        rank: width of a row, at most ``d``.
        seed: of the small random part.
    """
    center = (alone * weight[:, None]).sum(axis=0) / weight.sum()
    centered = (alone - center).astype(np.float32)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    basis = np.ascontiguousarray(vectors[:, ::-1][:, :rank])
    generator = np.random.default_rng(seed)
    initial: FloatArray = generator.normal(0.0, 0.005, (rows, basis.shape[1])).astype(np.float32)
    initial[: len(weight)] += (centered @ basis) * weight[:, None]
    return initial, np.ascontiguousarray(basis.T, dtype=np.float32)


def word_importance(counts: Sequence[int], passages: int) -> FloatArray:
    """How long the first vectors of single words are, (v,) float32, from how many passages each is in."""
    share = np.array(counts, dtype=np.float32) / np.float32(passages)
    return _importance(share, np.ones_like(share))


def _importance(share: FloatArray, kind: FloatArray) -> FloatArray:
    importance: FloatArray = (kind * (_LENGTH * _COMMON_SHARE / (_COMMON_SHARE + share))).astype(np.float32)
    return importance
