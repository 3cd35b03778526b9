"""An index on disk: its vectors or codes, ``id_map.json``, ``config.json``, believed only when all three agree."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.files import sync_folder
from stores.catalog.chunks import Position
from stores.files import file_sha256, named_disk_errors, replace_file
from stores.indexes.base import IndexParameters, IntArray
from stores.indexes.kinds import AnyIndex, index_digest, read_index

FORMAT = 2
INDEX_FILE, CODES_FILE, MAP_FILE, CONFIG_FILE = "faiss_index.bin", "codes.bin", "id_map.json", "config.json"
_TRIES, _BETWEEN_TRIES = 3, 0.1
_REMEDY = "Nothing is lost: it is rebuilt from the frames. `cem-rag build` saves the rebuilt index."


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """An index and what it covers.

    Attributes:
        index: the vectors, at positions 0 to n - 1.
        chunk_ids: (n,) the chunk at each position, ascending.
        live: (n,) False where the chunk has been deleted since.
        covers: how far it has followed the catalog.
        encoder: name of the encoder that made the vectors.
        probe: what that encoder made of one fixed frame: two students of one name are told apart by it.
        generation: the catalog's count of repacks that changed frames.
    """

    index: AnyIndex
    chunk_ids: IntArray
    live: np.ndarray[Any, np.dtype[np.bool_]]
    covers: Position
    encoder: str
    probe: tuple[float, ...]
    generation: int


def save_index(folder: Path, saved: SavedIndex) -> None:
    """Replace the index on disk. A crash in between leaves files that disagree, and they are not believed.

    Raises:
        DiskFullError: no space is left; what was there may be gone, and is rebuilt at the next open.
    """
    folder.mkdir(exist_ok=True)
    name = index_file(saved.index.parameters)
    index_path = folder / name
    with named_disk_errors(index_path):
        descriptor, written = tempfile.mkstemp(dir=folder, prefix=name, suffix=".tmp")
        os.close(descriptor)
        temporary = Path(written)
        try:
            _write_index(saved.index, temporary)
            digest = index_digest(temporary, saved.index.parameters)
            temporary.replace(index_path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
    id_map = json.dumps({"ranges": _ranges(saved.chunk_ids), "deleted": saved.chunk_ids[~saved.live].tolist()}).encode()
    replace_file(folder / MAP_FILE, lambda file: file.write(id_map))
    config = {
        "format": FORMAT,
        "metric": "inner product of unit vectors",
        "parameters": saved.index.parameters.to_json(),
        "dimension": saved.index.dimension,
        "count": len(saved.chunk_ids),
        "encoder": saved.encoder,
        "probe": list(saved.probe),
        "generation": saved.generation,
        "covers": {"chunk_id": saved.covers.chunk_id, "deletion": saved.covers.deletion},
        "sha256": {name: digest, MAP_FILE: hashlib.sha256(id_map).hexdigest()},
    }
    encoded = json.dumps({**config, "checksum": _checksum(config)}, indent=1).encode()
    replace_file(folder / CONFIG_FILE, lambda file: file.write(encoded))
    other = folder / (INDEX_FILE if name == CODES_FILE else CODES_FILE)
    other.unlink(missing_ok=True)


def load_settled_index(folder: Path) -> SavedIndex | None:
    """Read the index back, and look again where another process may be replacing its three files at this moment.

    Raises:
        MemoryCorruptError: as :func:`load_index`, three times in a row.
    """
    for _ in range(_TRIES - 1):
        try:
            return load_index(folder)
        except MemoryCorruptError:
            time.sleep(_BETWEEN_TRIES)
    return load_index(folder)


def load_index(folder: Path) -> SavedIndex | None:
    """Read the index back; None when none was ever saved.

    Raises:
        MemoryCorruptError: a file is missing, torn or altered, or the three do not belong together.
    """
    config_path = folder / CONFIG_FILE
    if not any((folder / name).exists() for name in (CONFIG_FILE, INDEX_FILE, CODES_FILE)):
        return None
    try:
        config = json.loads(config_path.read_bytes())
        if config["format"] != FORMAT:
            raise MemoryCorruptError(f"{config_path} has format {config['format']}, not {FORMAT}.", remedy=_REMEDY)
        if config.pop("checksum") != _checksum(config):
            raise MemoryCorruptError(f"{config_path} does not match its checksum.", remedy=_REMEDY)
        parameters = IndexParameters(**config["parameters"])
        index_path = folder / index_file(parameters)
        digests = {
            index_path.name: index_digest(index_path, parameters),
            MAP_FILE: file_sha256(folder / MAP_FILE),
        }
        for name, digest in digests.items():
            if config["sha256"][name] != digest:
                raise MemoryCorruptError(f"{folder / name} does not match its checksum.", remedy=_REMEDY)
        id_map = json.loads((folder / MAP_FILE).read_bytes())
        chunk_ids = _expand(id_map["ranges"])
        live = np.ones(len(chunk_ids), dtype=bool)
        live[np.searchsorted(chunk_ids, np.asarray(id_map["deleted"], dtype=np.int64))] = False
        covers = Position(**config["covers"])
        encoder, generation, count = str(config["encoder"]), int(config["generation"]), int(config["count"])
        dimension, probe = int(config["dimension"]), tuple(float(value) for value in config["probe"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise MemoryCorruptError(f"{folder} holds no sound index ({error!r}).", remedy=_REMEDY) from error
    index = read_index(index_path, parameters)
    if not len(index) == len(chunk_ids) == count or index.dimension != dimension:
        raise MemoryCorruptError(f"{folder} mixes files of different indexes.", remedy=_REMEDY)
    return SavedIndex(index, chunk_ids, live, covers, encoder, probe, generation)


def index_file(parameters: IndexParameters) -> str:
    """The name of the file that holds vectors or codes."""
    return CODES_FILE if parameters.kind == "codes" else INDEX_FILE


def _checksum(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _write_index(index: AnyIndex, path: Path) -> None:
    """FAISS writes without syncing, and tells a full disk by a RuntimeError of its own."""
    try:
        index.save(path)
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, f"{path}: {error}") from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _ranges(chunk_ids: IntArray) -> list[list[int]]:
    """Ascending ids as [first, last] runs: a million consecutive ids are one pair."""
    if not len(chunk_ids):
        return []
    breaks = np.flatnonzero(np.diff(chunk_ids) != 1)
    firsts = chunk_ids[np.concatenate(([0], breaks + 1))]
    lasts = chunk_ids[np.concatenate((breaks, [len(chunk_ids) - 1]))]
    return [[int(first), int(last)] for first, last in zip(firsts, lasts, strict=True)]


def _expand(ranges: list[list[int]]) -> IntArray:
    if not ranges:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.arange(first, last + 1, dtype=np.int64) for first, last in ranges])
