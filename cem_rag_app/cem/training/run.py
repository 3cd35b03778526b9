"""``cem-rag train cem``: teach a student to see in compressed bytes what its teacher sees in text.

Training is the one place here that touches text: the teacher reads it, and it is compressed for the student.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from cem_rag_app.cem.checkpoint import Checkpoint, save_checkpoint, save_shared, share_teacher
from cem_rag_app.cem.features import FeatureConfig
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord, FeatureRecord
from cem_rag_app.cem.students.base import Student
from cem_rag_app.cem.teachers.base import IdentifiedEncoder, TextEncoder
from cem_rag_app.cem.training.base import Tell, Trainable
from cem_rag_app.cem.training.config import TrainingConfig, plain
from cem_rag_app.cem.training.data import TrainingData, compress, gather, read_texts
from cem_rag_app.errors import CheckpointError
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder


@dataclass(frozen=True)
class TrainingReport:
    """What came out.

    Attributes:
        checkpoint: folder that was written.
        passages: chunks trained on.
        parameters: numbers that were trained.
        best_epoch: the epoch that was kept.
        metrics: of that epoch: ``cosine`` and, with pairs, ``ndcg@10`` and ``teacher_ndcg@10``.
        seconds: that this took; of a resumed run, since it was resumed.
    """

    checkpoint: Path
    passages: int
    parameters: int
    best_epoch: int
    metrics: dict[str, float]
    seconds: float


def train_cem(
    config: TrainingConfig,
    progress: Tell | None = None,
    *,
    resume: bool = False,
    teacher: IdentifiedEncoder | None = None,
) -> TrainingReport:
    """Train a student and write its checkpoint, keeping the epoch that ranks held-out passages best.

    The checkpoint is there, and grows better, from the first measuring on. Where the teacher is the embedded Chinese
    encoder and the view `ngram`, there is nothing to train: the encoder is a bag of n-grams itself, its student reads
    the same n-grams from frames and takes over the table as it is, and the report says how well the two agree.

    Args:
        config: of the run.
        progress: hears how far it is.
        resume: go on with the run whose state is in ``config.output``.
        teacher: the encoder that ``config.teacher`` names, if it is at hand already.

    Raises:
        EmptyInputError: too few passages.
        DimensionError: the vectors given are not the teacher's.
        CheckpointError: ``resume`` without a state of this very run, or a state without ``resume``.
        Interrupted: a signal came; the state is saved.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    started = time.monotonic()
    tell = progress or _silent
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder
    from cem_rag_app.cem.teachers.registry import load_teacher

    teacher = teacher or load_teacher(config.teacher)
    if isinstance(teacher, EmbeddedZhEncoder) and config.view == "ngram":
        return _take_over(config, teacher, started, tell)
    from cem_rag_app.cem.training.device import start_accelerator
    from cem_rag_app.cem.training.loop import fit

    accelerator = start_accelerator(config.device)
    if not accelerator.is_main_process:
        tell = _silent
    _check_state(config.output, resume)
    config.output.mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():  # the teacher is asked once, by one process
        data = gather(config, teacher, tell)
        trainable = _prepare(config, data, tell)

    def keep(student: Student, epoch: int, metrics: dict[str, float]) -> None:
        found = {"passages": len(data.frames), "epoch": epoch, **_rounded(metrics)}
        record = _record(config, teacher, trainable.record(), data.frames.dictionaries, found)
        save_checkpoint(Checkpoint(record, student), config.output)

    outcome = fit(config, trainable, data, tell, keep, resume=resume)
    return TrainingReport(
        checkpoint=config.output,
        passages=len(data.frames),
        parameters=sum(parameter.numel() for parameter in trainable.module.parameters()),
        best_epoch=outcome.epoch,
        metrics=_rounded(outcome.metrics),
        seconds=time.monotonic() - started,
    )


def _prepare(config: TrainingConfig, data: TrainingData, tell: Tell) -> Trainable:
    """Ask the view's own module, whose heavy imports no other view should pay for."""
    trainable: Trainable = importlib.import_module(f"cem_rag_app.cem.training.{config.view}").prepare(
        config, data, tell
    )
    return trainable


def _check_state(folder: Path, resume: bool) -> None:
    """Say at once what `load_state` would say after the texts were read, and never overwrite a run in silence."""
    from cem_rag_app.cem.training.state import STATE

    there = (folder / STATE).exists()
    if resume and not there:
        raise CheckpointError(f"There is no {STATE} in {folder} to go on from.", remedy="Train without --resume.")
    if there and not resume:
        raise CheckpointError(
            f"{folder / STATE} is the state of an unfinished run.",
            remedy="Go on with --resume, name another --output, or delete it.",
        )


def _take_over(config: TrainingConfig, teacher: EmbeddedZhEncoder, started: float, tell: Tell) -> TrainingReport:
    stage = "taking over the teacher's table"
    tell(0, 1, stage)
    texts = [text for text in read_texts(config.texts, config.held_out) if text]
    dictionaries = [general_dictionary(config.language)]
    features = FeatureConfig(kind="tokens", edges=config.ngram.edges, pairs=False, buckets=0, count_weight="count")
    section = {"format": "cem-ngram", "features": FeatureRecord(**vars(features))}
    record = _record(config, teacher, section, dictionaries, {}).model_copy(update={"weights": "teacher"})
    student = share_teacher(record, teacher.table).student
    frames = compress(texts, dictionaries, config.level)
    agreement = (frames.embed(student) * teacher.encode_documents(texts)).sum(axis=1)
    scores = {"cosine": round(float(agreement.mean()), 4), "least_cosine": round(float(agreement.min()), 4)}
    kept = ("teacher", "texts", "view", "language", "level")
    recipe = {"scores": scores, **{key: record.recipe[key] for key in kept}}
    save_shared(record.model_copy(update={"recipe": recipe}), config.output)
    tell(1, 1, stage)
    return TrainingReport(config.output, 0, 0, 0, scores, time.monotonic() - started)


def _record(
    config: TrainingConfig,
    teacher: TextEncoder,
    section: dict[str, Any],
    dictionaries: Sequence[Dictionary],
    scores: dict[str, Any],
) -> CheckpointConfig:
    return CheckpointConfig(
        name=config.name,
        teacher=config.teacher,
        dimension=teacher.dimension,
        compression=CompressionRecord(
            zstd_version=".".join(map(str, zstandard.ZSTD_VERSION)),
            level=config.level,
            dictionaries=tuple(dictionary.digest for dictionary in dictionaries),
        ),
        recipe={"scores": scores, **plain(config)},
        **section,
    )


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in metrics.items()}


def _silent(_done: int, _total: int, _what: str, _detail: str = "", /) -> None:
    return None
