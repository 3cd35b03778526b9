"""``cem-rag train cem``: teach a student to see in compressed bytes what its teacher sees in text.

Training is the one place here that touches text: the teacher reads it, and it is compressed for the student.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

from cem_rag_app.cem.checkpoint import Checkpoint, save_checkpoint, save_shared, share_teacher
from cem_rag_app.cem.features import FeatureConfig, FeatureCounts, FeatureReader
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord, FeatureRecord
from cem_rag_app.cem.students.ngram import NgramStudent
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import TextEncoder
from cem_rag_app.cem.training.config import TrainingConfig
from cem_rag_app.cem.training.data import gather, read_texts
from cem_rag_app.cem.training.feature_space import first_vectors, token_space, word_space
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary, train_dictionary

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder

Progress = Callable[[int, int, str], None]
"""Called with ``(steps done, steps in all, what is going on)``."""


@dataclass(frozen=True)
class TrainingReport:
    """What came out.

    Attributes:
        checkpoint: folder that was written.
        passages: chunks trained on.
        features: rows of the student's table.
        best_epoch: the epoch that was kept.
        metrics: of that epoch: ``cosine`` and, with pairs, ``ndcg@10`` and ``teacher_ndcg@10``.
        seconds: the whole run took.
    """

    checkpoint: Path
    passages: int
    features: int
    best_epoch: int
    metrics: dict[str, float]
    seconds: float


def train_cem(config: TrainingConfig, progress: Progress | None = None) -> TrainingReport:
    """Train a student and write its checkpoint, keeping the epoch that ranks held-out passages best.

    The embedded Chinese encoder is a bag of n-grams itself and its student reads the same n-grams from frames, so it
    takes over the table as it is; then there is nothing to train, and the report says how well the two agree.

    Raises:
        EmptyInputError: too few passages.
        DimensionError: the vectors given are not the teacher's.
    """
    started = time.monotonic()
    tell = progress or _silent
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder
    from cem_rag_app.cem.teachers.registry import load_teacher

    teacher = load_teacher(config.teacher)
    if isinstance(teacher, EmbeddedZhEncoder):
        return _take_over(config, teacher, started, tell)
    cache = TeacherCache(config.cache or config.output / "teacher-cache", teacher)
    tell(0, 0, "reading texts")
    data = gather(config, cache, teacher, tell)
    tell(0, 0, "choosing features")
    space = word_space(config, data.corpus) if config.language == "en" else token_space(config, data.corpus)
    tell(0, 0, "compressing and reading features")
    dictionaries = _dictionaries(config, data.texts)
    features = read_compressed(space.reader, data.texts, dictionaries, config.level)
    held = read_compressed(space.reader, data.held_texts, dictionaries[:1], config.level)
    passages = read_compressed(space.reader, data.pair_passages, dictionaries[:1], config.level)
    tell(0, 0, "first vectors of features")
    initial, projection = first_vectors(space, cache.encode(space.names), config.rank, config.seed)

    config.output.mkdir(parents=True, exist_ok=True)
    from cem_rag_app.cem.training.loop import fit

    outcome = fit(config, data, features, held, passages, initial, projection, tell)
    scores = {key: round(value, 4) for key, value in outcome.metrics.items()}
    record = _record(config, teacher, space.reader.config, dictionaries, {"passages": len(data.texts), **scores})
    save_checkpoint(Checkpoint(record, NgramStudent(space.reader, outcome.student)), config.output)
    return TrainingReport(
        checkpoint=config.output,
        passages=len(data.texts),
        features=space.reader.size,
        best_epoch=outcome.epoch,
        metrics=scores,
        seconds=time.monotonic() - started,
    )


def _take_over(config: TrainingConfig, teacher: EmbeddedZhEncoder, started: float, tell: Progress) -> TrainingReport:
    tell(0, 1, "taking over the teacher's table")
    texts = [text for text in read_texts(config.texts, config.held_out) if text]
    dictionaries = [general_dictionary(config.language)]
    features = FeatureConfig(kind="tokens", edges=config.edges, pairs=False, buckets=0, count_weight="count")
    record = _record(config, teacher, features, dictionaries, {}).model_copy(update={"weights": "teacher"})
    checkpoint = share_teacher(record, teacher.table)
    student = checkpoint.student
    assert isinstance(student, NgramStudent)  # that is what shares a table
    counts = read_compressed(student.reader, texts, dictionaries, config.level)
    agreement = (student.weights.embed(counts) * teacher.encode_documents(texts)).sum(axis=1)
    scores = {"cosine": round(float(agreement.mean()), 4), "least_cosine": round(float(agreement.min()), 4)}
    kept = ("teacher", "texts", "language", "level")
    recipe = {"scores": scores, **{key: record.recipe[key] for key in kept}}
    save_shared(record.model_copy(update={"recipe": recipe}), config.output)
    tell(1, 1, "taking over the teacher's table")
    return TrainingReport(config.output, 0, student.reader.size, 0, scores, time.monotonic() - started)


def _record(
    config: TrainingConfig,
    teacher: TextEncoder,
    features: FeatureConfig,
    dictionaries: Sequence[Dictionary],
    scores: dict[str, Any],
) -> CheckpointConfig:
    return CheckpointConfig(
        format="cem-ngram",
        name=config.name,
        teacher=config.teacher,
        dimension=teacher.dimension,
        features=FeatureRecord(**asdict(features)),
        compression=CompressionRecord(
            zstd_version=".".join(map(str, zstandard.ZSTD_VERSION)),
            level=config.level,
            dictionaries=tuple(dictionary.digest for dictionary in dictionaries),
        ),
        recipe={"scores": scores, **_plain(config)},
    )


def read_compressed(
    reader: FeatureReader, texts: Sequence[str], dictionaries: Sequence[Dictionary], level: int
) -> FeatureCounts:
    """Compress texts, a share with each dictionary in turn, and read the frames' features."""
    parts: list[FeatureCounts] = []
    block = math.ceil(len(texts) / len(dictionaries))
    for number, dictionary in enumerate(dictionaries):
        compressor = Compressor(dictionary, level)
        frames = [compressor.compress(text.encode()) for text in texts[number * block : (number + 1) * block]]
        parts.append(reader.read(frames, shared_tables(dictionary)))
    offsets = np.cumsum([0] + [part.indices.size for part in parts])
    bounds = [part.bounds[1:] + offset for part, offset in zip(parts, offsets, strict=False)]
    return FeatureCounts(
        bounds=np.concatenate([np.zeros(1, dtype=np.int64), *bounds]),
        indices=np.concatenate([part.indices for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
    )


def _dictionaries(config: TrainingConfig, texts: Sequence[str]) -> list[Dictionary]:
    step = max(1, len(texts) // 40_000)
    return [general_dictionary(config.language), train_dictionary([text.encode() for text in texts[::step]])]


def _plain(config: TrainingConfig) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config), default=lambda value: Path(value).name))
    return {key: value for key, value in plain.items() if key not in {"output", "cache"}}


def _silent(_done: int, _total: int, _what: str) -> None:
    return None
