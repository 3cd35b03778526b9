"""Folders of HDF5 files, one item each: a latent vector ``z``, a macro sequence ``vec``, or both.

``data/vec/0000/00000007.h5`` has the id ``0000/00000007`` and the subset ``0000``. Its label is the file's attribute
``label``, or what ``labels.json`` in the folder (an object from id to label) says. What the vector was taken from is
its source: ``z``, or ``vec`` where there is no ``z`` and the sequence is described instead.

What does not fit is refused, with a reason, and the rest is read.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cem_rag_app.errors import EmptyInputError, InputError
from cem_rag_app.schema import FloatArray
from cem_rag_app.vectors.descriptor import describe_sequence

LABELS_FILE = "labels.json"
_SUFFIXES = (".h5", ".hdf5")
_SAMPLE = 200
_LARGEST_DIMENSION = 16_384
_LARGEST_SEQUENCE = 4_096
_MOST_COLUMNS = 256
_LARGEST_CHUNK = 8 * 2**20
"""Bytes that HDF5 unpacks at once, however little of a chunk is wanted: the largest sequence as float64."""


@dataclass(frozen=True, slots=True)
class VectorFile:
    """One file read: its vector as float32, and its sequence where it has one."""

    id: str
    z: FloatArray
    vec: FloatArray | None
    subset: str | None
    label: str | None
    source: str
    file_path: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not taken, and why."""

    file_path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What the files of one collection have in common; None where none has it."""

    dimension: int | None
    columns: int | None


class VectorFolder:
    """A folder of vectors.

    Raises:
        InputError: there is no such folder, or its ``labels.json`` is damaged.
        EmptyInputError: no HDF5 file lies in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError("there is no such folder.", file=folder, remedy="Give the folder of the .h5 files.")
        self.folder = folder
        self.paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
        if not self.paths:
            raise EmptyInputError("no .h5 file lies in it.", file=folder, remedy="Give the folder of the .h5 files.")
        self._labels = _labels(folder / LABELS_FILE)
        self._first: dict[str, Path] = {}
        for path in self.paths:
            self._first.setdefault(self.identifier(path), path)

    def identifier(self, path: Path) -> str:
        """A file's id: its path in the folder, without the suffix."""
        return path.relative_to(self.folder).with_suffix("").as_posix()

    def is_second(self, path: Path) -> bool:
        """Whether another file, named differently by its suffix alone, has the same id and comes before it."""
        return self._first[self.identifier(path)] != path

    def shape(self) -> Shape:
        """The dimension and the columns that most of a sample of the files have: one odd file does not rule."""
        dimensions: Counter[int | None] = Counter()
        columns: Counter[int] = Counter()
        for path in self.paths[:: math.ceil(len(self.paths) / _SAMPLE)]:
            try:
                found = _read(path)
            except _Unfit:
                continue
            dimensions.update([None if found.z is None else len(found.z)])
            columns.update([] if found.vec is None else [found.vec.shape[1]])
        most = [counts.most_common(1)[0][0] if counts else None for counts in (dimensions, columns)]
        return Shape(*most)

    def read(self, paths: Iterable[Path], shape: Shape) -> Iterator[VectorFile | Refused]:
        """Read files, in order."""
        for path in paths:
            name = path.relative_to(self.folder).as_posix()
            try:
                yield self._vector_file(path, name, shape)
            except _Unfit as error:
                yield Refused(name, str(error))

    def _vector_file(self, path: Path, name: str, shape: Shape) -> VectorFile:
        identifier = self.identifier(path)
        if self.is_second(path):
            raise _Unfit(f"it would have the id of {self._first[identifier].name}; give one of them another name")
        found = _read(path)
        z, vec = found.z, found.vec
        if vec is not None and shape.columns is not None and vec.shape[1] != shape.columns:
            raise _Unfit(f"vec has {vec.shape[1]} columns, the others have {shape.columns}")
        # Latent vectors and descriptions of sequences lie in different spaces: a collection holds one of them.
        if z is not None and shape.dimension is None:
            raise _Unfit("it has a z, and the others have none")
        if z is not None and len(z) != shape.dimension:
            raise _Unfit(f"z has {len(z)} dimensions, the others have {shape.dimension}")
        if z is None and shape.dimension is not None:
            raise _Unfit("it has no z, and the others have one")
        source = "vec" if z is None else "z"
        if z is None:
            assert vec is not None
            z = describe_sequence(vec)
        parts = identifier.split("/")
        return VectorFile(
            id=identifier,
            z=z,
            vec=vec,
            subset=parts[0] if len(parts) > 1 else None,
            label=self._labels.get(identifier) or found.label,
            source=source,
            file_path=name,
        )


class _Unfit(Exception):
    """A file that is refused."""


@dataclass(frozen=True, slots=True)
class _Content:
    z: FloatArray | None
    vec: FloatArray | None
    label: str | None


def _read(path: Path) -> _Content:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            z = _numbers(file, "z", (_LARGEST_DIMENSION,))
            vec = _numbers(file, "vec", (_LARGEST_SEQUENCE, _MOST_COLUMNS))
            label = file.attrs.get("label")
            keys = ", ".join(sorted(str(key) for key in file)[:8]) or "nothing"
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        # What h5py raises for a damaged file is any of these, with HDF5's own words.
        raise _Unfit(f"it cannot be read as HDF5 ({error})") from error
    if z is None and vec is None:
        raise _Unfit(f"it has neither z nor vec, but {keys}")
    if z is not None and not np.any(z):
        raise _Unfit("z is all zeros and has no direction")
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    return _Content(
        z,
        vec[:, None] if vec is not None and vec.ndim == 1 else vec,
        (label.strip() or None) if isinstance(label, str) else None,
    )


def _numbers(file: Any, key: str, largest: Sequence[int]) -> FloatArray | None:
    """A dataset as float32, looked at before it is read: its kind, its shape, its size."""
    import h5py

    link = file.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise _Unfit(f"{key} is a link to another place, which is not followed")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise _Unfit(f"{key} is a group, not an array")
    if dataset.dtype.kind not in "fiub":
        raise _Unfit(f"{key} holds {dataset.dtype}, not numbers")
    if dataset.external or dataset.is_virtual:
        raise _Unfit(f"{key} lies in other files, which are not opened")
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if chunk > _LARGEST_CHUNK:
        raise _Unfit(f"{key} is stored in chunks of {chunk} bytes; {_LARGEST_CHUNK} is the most")
    shape = tuple(dataset.shape or ())
    while len(shape) > 1 and len(shape) > len(largest) and shape[0] == 1:
        shape = shape[1:]
    wanted = len(largest)
    fits = len(shape) == wanted or (wanted == 2 and len(shape) == 1)
    if not fits or any(not 1 <= size <= most for size, most in zip(shape, largest, strict=False)):
        raise _Unfit(f"{key} has the shape {tuple(dataset.shape or ())}, not {_WANTED[key]}")
    with np.errstate(over="ignore"):
        values = np.asarray(dataset[()], dtype=np.float64).astype(np.float32).reshape(shape)
    if not np.isfinite(values).all():
        raise _Unfit(f"{key} holds NaN, infinity or numbers too large for float32")
    return values


_WANTED = {"z": f"(d,) with d up to {_LARGEST_DIMENSION}", "vec": "(seq_len, 1 + n_args)"}


def _labels(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        labels = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"it is no JSON ({error}).", file=path, remedy="Repair it or take it away.") from error
    if not isinstance(labels, dict) or not all(isinstance(label, str) for label in labels.values()):
        raise InputError("it is no object from ids to labels.", file=path, remedy="Repair it or take it away.")
    return labels
