"""A folder of HDF5 files into a collection, in batches that are each durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cem_rag_app.corpora.hdf5 import Refused, Shape, VectorFile, VectorFolder
from cem_rag_app.errors import InputError
from stores.vectors.items import VectorItem
from stores.vectors.service import VectorCollection

BATCH = 512
"""Files a transaction: each costs one sync of the disk."""


@dataclass(slots=True)
class FolderReport:
    """What became of the files; ``duplicates`` were stored already, by id or by content."""

    files: int = 0
    inserted: int = 0
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)


def import_folder(
    collection: VectorCollection, folder: Path, progress: Callable[[int, int], None] | None = None
) -> FolderReport:
    """Import every file that fits, and say of the others why they do not.

    An import that was interrupted goes on where it stopped: ids that are stored are not opened again.

    Args:
        collection: where to.
        folder: of the files; see :mod:`cem_rag_app.corpora.hdf5`.
        progress: called with files done and all files.

    Raises:
        InputError: there is no such folder.
        EmptyInputError: no HDF5 file lies in it.
    """
    source = VectorFolder(folder)
    shape = source.shape()
    stored = collection.dimension
    if stored is not None and shape.dimension is not None:
        shape = Shape(stored, shape.columns)
    report = FolderReport(files=len(source.paths))
    for start in range(0, len(source.paths), BATCH):
        paths = source.paths[start : start + BATCH]
        known = collection.known(source.identifier(path) for path in paths)
        fresh = [path for path in paths if source.is_second(path) or source.identifier(path) not in known]
        report.duplicates += len(paths) - len(fresh)
        _store(collection, list(source.read(fresh, shape)), report)
        if progress is not None:
            progress(min(start + BATCH, len(source.paths)), len(source.paths))
    return report


def _store(collection: VectorCollection, read: list[VectorFile | Refused], report: FolderReport) -> None:
    items = []
    for file in read:
        if isinstance(file, Refused):
            report.refused.append(file)
            continue
        try:
            items.append(collection.checked(_item(file)))
        except InputError as error:
            report.refused.append(Refused(file.file_path, str(error)))
    added = collection.add_checked(items, by_content=True)
    report.inserted += added.inserted
    report.duplicates += added.duplicates


def _item(file: VectorFile) -> VectorItem:
    named = {"file_path": file.file_path, "subset": file.subset, "label": file.label, "source": file.source}
    return VectorItem(file.id, file.z, {key: value for key, value in named.items() if value is not None}, file.vec)
