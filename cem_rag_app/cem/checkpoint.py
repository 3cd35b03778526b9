"""A student on disk: ``config.json`` and ``model.safetensors``, nothing that can run code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from cem_rag_app.cem.features import FeatureConfig, FeatureReader
from cem_rag_app.cem.records import CheckpointConfig, Format
from cem_rag_app.cem.students import ngram
from cem_rag_app.cem.students.base import Student, Tensors, UnfitError
from cem_rag_app.cem.symbols.lookup import hash_all
from cem_rag_app.cem.teachers.embedded_zh import NgramTable
from cem_rag_app.errors import CheckpointError
from cem_rag_app.files import create_temporary, discard, full_disk_named, publish

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A student and what is known of it."""

    config: CheckpointConfig
    student: Student


def save_checkpoint(checkpoint: Checkpoint, folder: str | Path) -> None:
    """Write both files; the configuration last, since it names the weights' checksum.

    A student that shares its teacher's table becomes one with a table of its own.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: np.ascontiguousarray(tensor) for name, tensor in checkpoint.student.tensors().items()})
    digest = hashlib.sha256(data).hexdigest()
    config = checkpoint.config.model_copy(update={"weights": "file", "weights_sha256": digest})
    _write(folder, WEIGHTS, data)
    _write(folder, CONFIG, _config_bytes(config))


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or its parts do not fit one another.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(folder)
    config = load_config(folder)
    if config.weights == "teacher":
        return _share(folder, config)
    data = _read(folder, WEIGHTS)
    if hashlib.sha256(data).hexdigest() != config.weights_sha256:
        raise _damaged(folder, f"{WEIGHTS} is not the file {CONFIG} describes")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise _damaged(folder, f"{WEIGHTS} cannot be read") from error
    try:
        return Checkpoint(config, _student(config, tensors))
    except UnfitError as error:
        raise _damaged(folder, str(error)) from error


def load_config(folder: str | Path) -> CheckpointConfig:
    """Read and check a checkpoint's configuration alone.

    Raises:
        CheckpointError: it is missing, damaged, or of another kind or version.
    """
    folder = Path(folder)
    try:
        raw = json.loads(_read(folder, CONFIG))
    except ValueError as error:
        raise _damaged(folder, f"{CONFIG} is no JSON") from error
    if not isinstance(raw, dict) or raw.get("format") not in get_args(Format):
        raise CheckpointError(f"{folder} holds no CEM checkpoint.", remedy="Name another folder.")
    if raw.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"The checkpoint in {folder} has format version {raw.get('format_version')!r}; this release reads "
            f"{FORMAT_VERSION}.",
            remedy="Use the release that wrote it, or train again.",
        )
    try:
        return CheckpointConfig.model_validate(raw)
    except ValidationError as error:
        raise _damaged(folder, f"{CONFIG} is not valid: {error.errors()[0]['loc']}") from error


def share_teacher(config: CheckpointConfig, table: NgramTable) -> Checkpoint:
    """A student whose vectors are its teacher's: possible where the teacher is a bag of n-grams itself.

    Width and buckets are the table's, whatever the configuration says: the two cannot drift apart.
    """
    if config.features is None:
        raise UnfitError("the configuration names no features")
    buckets, pair_buckets = (int(rows) for rows in table.buckets)
    features = config.features.model_copy(update={"buckets": buckets, "pair_buckets": pair_buckets})
    config = config.model_copy(update={"features": features, "dimension": table.dimension})
    reader = FeatureReader(hash_all(table.keys), FeatureConfig(**features.model_dump()), table.fold)
    weights = ngram.BagWeights(
        table=table.table,
        scales=table.scales,
        bias=np.zeros(table.dimension, dtype=np.float32),
    )
    return Checkpoint(config, ngram.NgramStudent(reader, weights))


def save_shared(config: CheckpointConfig, folder: str | Path) -> None:
    """Write the checkpoint of a student that shares its teacher's table: the configuration alone."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, CONFIG, _config_bytes(config))


def _student(config: CheckpointConfig, tensors: Tensors) -> Student:
    if config.view == "ngram":
        return ngram.from_tensors(config, tensors)
    if config.view == "symbols":
        from cem_rag_app.cem.students import symbols

        return symbols.from_tensors(config, tensors)
    from cem_rag_app.cem.students import frame

    return frame.from_tensors(config, tensors)


def _share(folder: Path, config: CheckpointConfig) -> Checkpoint:
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder

    teacher = EmbeddedZhEncoder()
    if config.teacher != teacher.name or config.features is None or config.features.kind != "tokens":
        raise _damaged(folder, f"only a student of {teacher.name} over tokens can share its teacher's table")
    return share_teacher(config, teacher.table)


def _config_bytes(config: CheckpointConfig) -> bytes:
    content: dict[str, Any] = config.model_dump(mode="json")
    sections = {"features", "symbols", "frame"}
    kept = {name: value for name, value in content.items() if value is not None or name not in sections}
    return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()


def _write(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    with full_disk_named(path, safe="the checkpoint before is still whole"):
        file = create_temporary(folder, suffix=".tmp")
        try:
            file.write(content)
            publish(file, path)
        finally:
            discard(file)
    path.chmod(0o644)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"No checkpoint can be read in {folder} ({name}: {error.strerror}).",
            remedy="Name a folder with config.json and model.safetensors, or train one with `cem-rag train cem`.",
        ) from error


def _damaged(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(f"The checkpoint in {folder} is damaged: {why}.", remedy="Restore it or train again.")
