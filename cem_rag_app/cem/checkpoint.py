"""A student on disk: ``config.json`` and ``model.safetensors``, nothing that can run code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cem_rag_app.cem.student import CountWeight, FeatureConfig, FeatureKind, FeatureReader, Student
from cem_rag_app.cem.symbols.lookup import hash_all
from cem_rag_app.cem.teachers.embedded_zh import NgramTable
from cem_rag_app.errors import CheckpointError

FORMAT = "cem-ngram"
FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


class CompressionRecord(BaseModel):
    """The frames a student was trained on. It reads frames of any level and any dictionary."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zstd_version: str
    level: int
    magicless: bool = True
    dictionaries: tuple[str, ...] = ()
    """SHA-256 of the dictionaries it saw."""


class FeatureRecord(BaseModel):
    """`FeatureConfig` as it is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FeatureKind
    edges: bool
    pairs: bool
    buckets: int = Field(ge=0, le=1 << 20)
    pair_buckets: int = Field(default=0, ge=0, le=1 << 20)
    count_weight: CountWeight


class CheckpointConfig(BaseModel):
    """What ``config.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    name: str
    teacher: str
    dimension: int = Field(ge=1, le=65536)
    features: FeatureRecord
    compression: CompressionRecord
    weights: Literal["file", "teacher"] = "file"
    """``teacher``: the table is the embedded Chinese encoder's own, and there is no ``model.safetensors``."""
    weights_sha256: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """How it was trained: command, data, seeds, scores. Read by people alone."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A student with what it needs to read frames."""

    config: CheckpointConfig
    reader: FeatureReader
    student: Student


def save_checkpoint(checkpoint: Checkpoint, folder: str | Path) -> None:
    """Write both files; the configuration last, since it names the weights' checksum.

    A student that shares its teacher's table becomes one with a table of its own.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    student = checkpoint.student
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "hashes": checkpoint.reader.hashes,
        "table": student.table,
        "scales": student.scales,
        "bias": student.bias.astype(np.float16),
    }
    if checkpoint.reader.config.kind == "tokens":
        tensors["fold"] = checkpoint.reader.fold
    if student.projection is not None:
        tensors["projection"] = student.projection.astype(np.float16)
    if student.inner is not None and student.inner_bias is not None and student.outer is not None:
        tensors["inner"] = student.inner.astype(np.float16)
        tensors["inner_bias"] = student.inner_bias.astype(np.float16)
        tensors["outer"] = student.outer.astype(np.float16)
    data = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    config = checkpoint.config.model_copy(
        update={"weights": "file", "weights_sha256": hashlib.sha256(data).hexdigest()}
    )
    _write(folder, WEIGHTS, data)
    _write(folder, CONFIG, _config_bytes(config))


def _config_bytes(config: CheckpointConfig) -> bytes:
    return (json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def _write(folder: Path, name: str, content: bytes) -> None:
    temporary = folder / f"{name}.tmp"
    temporary.write_bytes(content)
    temporary.replace(folder / name)


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, of another kind, or its parts do not fit one another.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(folder)
    config = _load_config(folder)
    if config.weights == "teacher":
        return _share(folder, config)
    data = _read(folder, WEIGHTS)
    if hashlib.sha256(data).hexdigest() != config.weights_sha256:
        raise _damaged(folder, f"{WEIGHTS} is not the file {CONFIG} describes")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise _damaged(folder, f"{WEIGHTS} cannot be read") from error
    return _assemble(folder, config, tensors)


def share_teacher(config: CheckpointConfig, table: NgramTable) -> Checkpoint:
    """A student whose vectors are its teacher's: possible where the teacher is a bag of n-grams itself.

    Width and buckets are the table's, whatever the configuration says: the two cannot drift apart.
    """
    buckets, pair_buckets = (int(rows) for rows in table.buckets)
    features = config.features.model_copy(update={"buckets": buckets, "pair_buckets": pair_buckets})
    config = config.model_copy(update={"features": features, "dimension": table.dimension})
    reader = FeatureReader(hash_all(table.keys), FeatureConfig(**features.model_dump()), table.fold)
    student = Student(
        table=table.table,
        scales=table.scales,
        bias=np.zeros(table.dimension, dtype=np.float32),
    )
    return Checkpoint(config, reader, student)


def save_shared(config: CheckpointConfig, folder: str | Path) -> None:
    """Write the checkpoint of a student that shares its teacher's table: the configuration alone."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, CONFIG, _config_bytes(config))


def _share(folder: Path, config: CheckpointConfig) -> Checkpoint:
    from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder

    teacher = EmbeddedZhEncoder()
    if config.teacher != teacher.name or config.features.kind != "tokens":
        raise _damaged(folder, f"only a student of {teacher.name} over tokens can share its teacher's table")
    return share_teacher(config, teacher.table)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"No checkpoint can be read in {folder} ({name}: {error.strerror}).",
            remedy="Name a folder with config.json and model.safetensors, or train one with `cem-rag train cem`.",
        ) from error


def _load_config(folder: Path) -> CheckpointConfig:
    try:
        raw = json.loads(_read(folder, CONFIG))
    except ValueError as error:
        raise _damaged(folder, f"{CONFIG} is no JSON") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise CheckpointError(f"{folder} holds no {FORMAT} checkpoint.", remedy="Name another folder.")
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


def _assemble(folder: Path, config: CheckpointConfig, tensors: dict[str, Any]) -> Checkpoint:
    needed = {"hashes", "table", "scales", "bias"} | ({"fold"} if config.features.kind == "tokens" else set())
    missing = needed - set(tensors)
    if missing:
        raise _damaged(folder, f"{WEIGHTS} lacks {', '.join(sorted(missing))}")
    if tensors["hashes"].dtype != np.int64 or tensors["hashes"].ndim != 1 or not tensors["hashes"].all():
        raise _damaged(folder, "hashes is no vocabulary")
    fold = tensors.get("fold", np.zeros(65536, dtype=np.uint16))
    if fold.shape != (65536,) or fold.dtype != np.uint16:
        raise _damaged(folder, "fold is no folding table")
    reader = FeatureReader(tensors["hashes"], FeatureConfig(**config.features.model_dump()), fold)
    table = tensors["table"]
    optional = {name: tensors[name].astype(np.float32) for name in ("inner", "inner_bias", "outer") if name in tensors}
    rank = table.shape[1] if table.ndim == 2 else -1
    width = optional["inner"].size // max(1, rank) if "inner" in optional else 0
    shapes = {
        "table": (reader.size, rank),
        "scales": (reader.size,),
        "projection": (rank, config.dimension),
        "bias": (config.dimension,),
        "inner": (rank, width),
        "inner_bias": (width,),
        "outer": (width, config.dimension),
    }
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise _damaged(folder, f"{name} has the shape {tensors[name].shape}, not {shape}")
    if "projection" not in tensors and rank != config.dimension:
        raise _damaged(folder, f"without a projection the table is {rank} wide, not {config.dimension}")
    if table.dtype != np.int8 or len(optional) not in (0, 3):
        raise _damaged(folder, f"{WEIGHTS} holds other kinds of numbers than a student has")
    student = Student(
        table=np.ascontiguousarray(table),
        scales=tensors["scales"].astype(np.float32),
        projection=np.ascontiguousarray(tensors["projection"].astype(np.float32)) if "projection" in tensors else None,
        bias=tensors["bias"].astype(np.float32),
        **optional,
    )
    return Checkpoint(config, reader, student)


def _damaged(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(f"The checkpoint in {folder} is damaged: {why}.", remedy="Restore it or train again.")
