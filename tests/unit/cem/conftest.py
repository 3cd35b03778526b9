"""A tiny student that needs no training, and frames to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.checkpoint import Checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.features import FeatureConfig, FeatureReader
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord, FeatureRecord
from cem_rag_app.cem.students.ngram import BagWeights, NgramStudent
from cem_rag_app.cem.training.vocabulary import choose_vocabulary, vocabulary_hashes

TEXTS = (
    "The boundary layer over a flat plate thickens downstream, and its heat transfer falls.",
    "A slender wing at high speed carries a shock wave; the pressure behind the shock rises.",
    "Librarians index the documents by hand, and the documents are found by their index.",
    "Café naïve: ＡＢＣ 12.5% of the wing.  The WING, the shock-wave! 火锅很好吃 😀",
    "",
    "word",
)


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """Thirty words and pairs, 16 buckets, random weights: 12-d vectors."""
    vocabulary = choose_vocabulary(TEXTS, words=24, pairs=6, least=1)
    features = FeatureConfig(buckets=16)
    reader = FeatureReader(vocabulary_hashes(feature for feature, _ in vocabulary), features)
    generator = np.random.default_rng(7)
    weights = BagWeights(
        table=generator.integers(-127, 128, (reader.size, 8), dtype=np.int8),
        scales=generator.uniform(0.001, 0.01, reader.size).astype(np.float32),
        projection=generator.normal(size=(8, 12)).astype(np.float16).astype(np.float32),
        bias=np.zeros(12, dtype=np.float32),
        inner=generator.normal(size=(8, 5)).astype(np.float16).astype(np.float32),
        inner_bias=np.zeros(5, dtype=np.float32),
        outer=generator.normal(size=(5, 12)).astype(np.float16).astype(np.float32),
    )
    config = CheckpointConfig(
        format="cem-ngram",
        name="tiny",
        teacher="nobody",
        dimension=12,
        features=FeatureRecord(kind="words", edges=True, pairs=True, buckets=16, count_weight="log"),
        compression=CompressionRecord(zstd_version="1.5.7", level=19),
    )
    return Checkpoint(config, NgramStudent(reader, weights))


@pytest.fixture(scope="session")
def encoder(checkpoint: Checkpoint) -> CompressedEncoder:
    return CompressedEncoder(checkpoint)


@pytest.fixture
def saved(encoder: CompressedEncoder, tmp_path: Path) -> Path:
    encoder.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"
