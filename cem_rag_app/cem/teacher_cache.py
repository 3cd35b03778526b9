"""Teacher vectors on disk: computed once, resumed after a kill, never mistaken for another model's.

One folder holds one file set for each *space*: teacher name, revision of its weights, pooling, dimension and side
(query or document) are hashed into the set's name and written into its ``space.json``, which is compared at open.

::

    CACHE/<space digest>/space.json     what the vectors are, in words
    CACHE/<space digest>/vectors.f16    rows of `dimension` little-endian float16, append-only
    CACHE/<space digest>/keys.bin       one 20-byte record a row: BLAKE2b-128 of the text, CRC-32 of the row's bytes
    CACHE/<space digest>/lock           held while a row is appended or a torn one is cut; empty

A row is appended and synced before its record: whatever a kill leaves behind the last whole record is cut when the
cache is next opened or written to. Several processes may use one cache, and each finds what the others have appended
before it appends itself. float16 keeps a unit vector to about 3e-4 of its direction, and halves the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.teachers.base import IdentifiedEncoder, unit_rows
from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.schema import FloatArray

Side = Literal["query", "document"]

_RECORD = 20
_KEY = 16


class TeacherCache:
    """A teacher with a memory: `encode` computes only what it has not seen.

    Processes take turns in writing; the vectors are memory-mapped, so a cache larger than memory is no trouble.

    Args:
        folder: where the caches of all teachers live; made when missing.
        teacher: the encoder whose vectors these are. Its weights are not loaded before a text is missing.
        side: which of the teacher's two encoders is meant; many teachers treat questions differently.

    Raises:
        MemoryCorruptError: ``space.json`` is damaged or describes another space than its folder's name.
    """

    def __init__(self, folder: str | Path, teacher: IdentifiedEncoder, *, side: Side = "document") -> None:
        self._teacher = teacher
        self._side = side
        space = {
            "teacher": teacher.name,
            "revision": teacher.revision,
            "pooling": teacher.pooling,
            "dimension": teacher.dimension,
            "side": side,
        }
        text = json.dumps(space, ensure_ascii=False, sort_keys=True)
        self.folder = Path(folder) / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim(text)
        self._keys = self.folder / "keys.bin"
        self._vectors = self.folder / "vectors.f16"
        self._row_bytes = 2 * teacher.dimension
        self._row_of: dict[bytes, int] = {}
        self._check: list[int] = []
        with self._turn():
            self._recover()

    def __len__(self) -> int:
        """Vectors held."""
        return len(self._row_of)

    def __contains__(self, text: str) -> bool:
        return _key(text) in self._row_of

    def encode(
        self, texts: Sequence[str], *, block: int = 512, progress: Callable[[int, int], None] | None = None
    ) -> FloatArray:
        """Vectors of ``texts``: ``(n, dimension)`` float32, unit rows; computes and stores what is missing.

        Args:
            texts: the texts, in any order, repeated or not.
            block: texts computed between two syncs; a kill loses at most one block of work.
            progress: called with texts done and texts to do after each block.

        Raises:
            MemoryCorruptError: a stored row does not have the checksum it was written with.
        """
        self.fill(texts, block=block, progress=progress)
        return self._read([self._row_of[_key(text)] for text in texts])

    def fill(
        self, texts: Sequence[str], *, block: int = 512, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Compute and store what is missing, as `encode` does, without reading the vectors back."""
        missing = list({_key(text): text for text in texts if text not in self}.values())
        encode = self._teacher.encode_queries if self._side == "query" else self._teacher.encode_documents
        for start in range(0, len(missing), block):
            part = missing[start : start + block]
            self._append([_key(text) for text in part], encode(part))
            if progress is not None:
                progress(min(start + block, len(missing)), len(missing))

    def locate(self, texts: Sequence[str], *, block: int = 4096) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """Where the vectors of ``texts`` lie, for corpora whose vectors should not all be in memory.

        Returns:
            ``(rows stored, dimension)`` memory-mapped, nearly unit rows, and the ``(n,)`` row of each text.

        Raises:
            MemoryCorruptError: a stored row does not have the checksum it was written with.
            KeyError: a text has no vector; `fill` first.
        """
        rows = np.array([self._row_of[_key(text)] for text in texts], dtype=np.int64)
        stored = self._stored()
        for start in range(0, rows.size, block):
            self._verify(stored, rows[start : start + block].tolist())
        return stored, rows

    def _append(self, keys: list[bytes], vectors: FloatArray) -> None:
        rows = np.ascontiguousarray(vectors, dtype="<f2")
        checks = [zlib.crc32(row.tobytes()) for row in rows]
        with self._turn():
            self._recover()
            with self._vectors.open("ab") as file:
                file.write(rows.tobytes())
                _sync(file)
            with self._keys.open("ab") as file:
                file.write(b"".join(key + check.to_bytes(4, "little") for key, check in zip(keys, checks, strict=True)))
                _sync(file)
            for key, check in zip(keys, checks, strict=True):
                self._row_of[key] = len(self._check)
                self._check.append(check)

    def _read(self, rows: list[int]) -> FloatArray:
        if not rows:
            return np.empty((0, self._teacher.dimension), dtype=np.float32)
        return unit_rows(self._verify(self._stored(), rows).astype(np.float32))

    def _stored(self) -> NDArray[np.float16]:
        shape = (len(self._check), self._teacher.dimension)
        if not self._check:
            return np.empty(shape, dtype="<f2")
        return np.memmap(self._vectors, dtype="<f2", mode="r", shape=shape)

    def _verify(self, stored: NDArray[np.float16], rows: list[int]) -> NDArray[np.float16]:
        """The rows, after a look at their checksums."""
        found: NDArray[np.float16] = np.asarray(stored[rows])
        for row, vector in zip(rows, found, strict=True):
            if zlib.crc32(vector.tobytes()) != self._check[row]:
                raise MemoryCorruptError(
                    f"Row {row} of {self._vectors} is damaged.",
                    remedy=f"Delete {self.folder}; the vectors are computed again.",
                )
        return found

    def _claim(self, space: str) -> None:
        path = self.folder / "space.json"
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(space, encoding="utf-8")
            draft.replace(path)
        if path.read_text(encoding="utf-8", errors="replace") != space:
            raise MemoryCorruptError(
                f"{path} does not describe the space its folder is named after.",
                remedy=f"Delete {self.folder}; the vectors are computed again.",
            )

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other process appends; the operating system lets go of the lock of one that dies."""
        import fcntl

        with (self.folder / "lock").open("ab") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            yield

    def _recover(self) -> None:
        """Take every row that is new to this process and whose record is whole; cut what a kill left behind."""
        for path in (self._keys, self._vectors):
            path.touch()
        rows = min(self._keys.stat().st_size // _RECORD, self._vectors.stat().st_size // self._row_bytes)
        os.truncate(self._keys, rows * _RECORD)
        os.truncate(self._vectors, rows * self._row_bytes)
        known = len(self._check)
        with self._keys.open("rb") as file:
            file.seek(known * _RECORD)
            records = file.read()
        for start in range(0, (rows - known) * _RECORD, _RECORD):
            self._row_of[records[start : start + _KEY]] = len(self._check)
            self._check.append(int.from_bytes(records[start + _KEY : start + _RECORD], "little"))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
