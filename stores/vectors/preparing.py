"""Items checked, made unit where the metric asks for it, and turned into columns and bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cem_rag_app.errors import InputError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import MetricName
from stores.vectors.catalog import Prepared
from stores.vectors.frames import fingerprint, pack_sequence
from stores.vectors.items import COLUMNS, VectorItem
from stores.vectors.tables import ID_CHARACTERS

LARGEST_DIMENSION = 16_384
LARGEST_SEQUENCE = 4_096
_PATH_CHARACTERS = 1_024
_METADATA_BYTES = 65_536


def prepare(item: VectorItem, metric: MetricName) -> Prepared:
    """Columns and bytes of an item.

    Raises:
        InputError: something of it cannot be stored; the message names the item and what to change.
    """
    if not isinstance(item.id, str) or not 1 <= len(item.id) <= ID_CHARACTERS or not _storable(item.id):
        raise InputError(
            f"the id {str(item.id)[:40]!r} cannot be stored.",
            remedy=f"Ids are text of 1 to {ID_CHARACTERS} characters, without a NUL, not ending in a space.",
        )
    try:
        vector = unit_or_raw(item.z, metric)
        sequence = None if item.vec is None else checked_sequence(item.vec)
        columns, rest = _metadata(item.metadata)
    except InputError as error:
        raise InputError(f"item {item.id!r}: {error}") from error
    stored = vector.astype("<f4").tobytes()
    frame = None if sequence is None else pack_sequence(sequence)
    return Prepared(
        id=item.id,
        z=stored,
        frame=frame,
        fingerprint=fingerprint(stored, frame),
        columns=columns,
        rest=rest,
        seq_len=None if sequence is None else sequence.shape[0],
        args_dim=None if sequence is None else sequence.shape[1] - 1,
    )


def unit_or_raw(vector: FloatArray, metric: MetricName) -> FloatArray:
    """A (d,) float32 vector, of unit length under ``cosine``.

    Raises:
        InputError: it is no vector of finite numbers, or has no direction.
    """
    z = _numbers(vector, "z")
    if z.ndim != 1 or not 1 <= len(z) <= LARGEST_DIMENSION:
        raise InputError(f"z has the shape {z.shape}.", remedy=f"Give 1 to {LARGEST_DIMENSION} numbers.")
    if metric == "l2":
        return z
    # In float64: the square of a large float32 is infinite.
    length = float(np.sqrt(np.square(z, dtype=np.float64).sum()))
    if length == 0.0:
        raise InputError("z is all zeros and has no direction.", remedy="Leave it out, or use the metric l2.")
    return (z / length).astype(np.float32)


def checked_sequence(vec: FloatArray) -> FloatArray:
    """A (seq_len, 1 + n_args) float32 macro sequence; one row of numbers is a sequence of commands alone.

    Raises:
        InputError: it is no matrix of finite numbers.
    """
    sequence = _numbers(vec, "vec")
    if sequence.ndim == 1:
        sequence = sequence[:, None]
    if sequence.ndim != 2 or not 1 <= len(sequence) <= LARGEST_SEQUENCE or not 1 <= sequence.shape[1] <= 256:
        raise InputError(
            f"vec has the shape {np.shape(vec)}.",
            remedy=f"Give 1 to {LARGEST_SEQUENCE} rows of a command and its arguments.",
        )
    return sequence


def _numbers(values: Any, name: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is no array of numbers ({error}).") from error
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity.", remedy="Every number must be a finite float32.")
    return array


def _metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, str | None], str | None]:
    columns: dict[str, str | None] = {}
    for name in COLUMNS:
        value = metadata.get(name)
        longest = _PATH_CHARACTERS if name == "file_path" else ID_CHARACTERS
        if value is not None and (not isinstance(value, str) or len(value) > longest or not _storable(value)):
            raise InputError(
                f"the metadata {name!r} cannot be stored.",
                remedy=f"It is text of at most {longest} characters, without a NUL, not ending in a space.",
            )
        columns[name] = value
    rest = {key: value for key, value in metadata.items() if key not in COLUMNS}
    if not rest:
        return columns, None
    try:
        encoded = json.dumps(rest, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"its metadata is no JSON ({error}).") from error
    if len(encoded) > _METADATA_BYTES:
        raise InputError(f"its metadata has more than {_METADATA_BYTES} bytes.")
    return columns, encoded


def _storable(value: str) -> bool:
    """No NUL (PostgreSQL), no half characters (all), no space at the end (MySQL's older collations ignore it)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value and not value.endswith(" ")
