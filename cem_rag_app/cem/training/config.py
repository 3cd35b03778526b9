"""What a training run depends on: one frozen object, saved beside the checkpoint it made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cem_rag_app.cem.features import CountWeight
from cem_rag_app.cem.training.losses import LossWeights


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a training run depends on; saved beside the checkpoint.

    Attributes:
        teacher: name of the text encoder to learn from.
        texts: file with a passage a line (``.txt`` or ``.txt.gz``).
        output: folder of the checkpoint.
        name: of the checkpoint.
        vectors: ``.npy`` with the teacher's vectors of the first lines of ``texts``; None: the teacher is asked.
        pairs: TSV of ``kind, query, passage``; held out, chooses the best epoch by nDCG@10. None: by cosine.
        cache: folder in which the teacher's answers are kept; None: ``teacher-cache`` in ``output``.
        language: of the texts; says which features are read, and which general dictionary is used beside an own one.
        limit: lines of ``texts`` that are read; 0 for all.
        words: vocabulary of words (English).
        word_pairs: vocabulary of word pairs (English).
        buckets: rows for the letter n-grams of unknown words (English).
        grams: vocabulary of character n-grams (Chinese).
        count_weight: how repeats count.
        edges: whether features cross the borders of spans.
        rank: width of a feature's vector; at most the teacher's dimension is used.
        hidden: width of the correction network; 0 for none.
        feature_dropout: share of features hidden from a training step.
        epochs: passes over the data.
        batch_size: chunks a step, which are also one another's negatives.
        learning_rate: its peak; it falls to 0 as half a cosine.
        table_rate: learning rate of the features' vectors, as a share of the others'. Adam moves a row that was seen
            five times as far as one seen often, and rare words are better left near where the teacher put them.
        loss: weights of the loss's parts.
        level: zstd level of the training frames.
        held_out: last passages, kept for measuring.
        held_out_pairs: pairs used for choosing an epoch.
        seed: of everything random.
    """

    teacher: str
    texts: Path
    output: Path
    name: str = "cem"
    vectors: Path | None = None
    pairs: Path | None = None
    cache: Path | None = None
    language: Literal["zh", "en"] = "en"
    limit: int = 0
    words: int = 32_000
    word_pairs: int = 5_000
    buckets: int = 4_096
    grams: int = 36_000
    count_weight: CountWeight = "log"
    edges: bool = True
    rank: int = 256
    hidden: int = 512
    feature_dropout: float = 0.1
    epochs: int = 8
    batch_size: int = 1024
    learning_rate: float = 2e-3
    table_rate: float = 0.3
    loss: LossWeights = field(default_factory=LossWeights)
    level: int = 19
    held_out: int = 2_000
    held_out_pairs: int = 1_500
    seed: int = 0
