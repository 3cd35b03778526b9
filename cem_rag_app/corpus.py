"""The frozen doors of the specification: a JSONL corpus in, chunks out by corpus id (seed *cem-rag*, section 2.5).

zpkg knows no ids (invariant I3): the mapping ``corpus id -> (pack, chunk)`` is ``mapping.json`` beside the packs.
"""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from cem_rag_app.errors import (
    ChunkIndexError,
    DictionaryError,
    EmptyInputError,
    EncodingError,
    LineTooLongError,
    MalformedLineError,
    PackFullError,
    ZpkgError,
)
from cem_rag_app.files import create_temporary, discard, full_disk_named, publish
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import (
    SAMPLES_PER_BYTE,
    Dictionary,
    dictionary_size_for,
    general_dictionary,
    train_dictionary,
)
from cem_rag_app.zpkg.layout import LARGEST_PACK
from cem_rag_app.zpkg.reader import Reader, open_pack
from cem_rag_app.zpkg.writer import PackInfo, PackWriter

MAPPING_NAME = "mapping.json"
_MAPPING_VERSION = 1
_LONGEST_LINE = 16 << 20
_ID_KEYS = ("_id", "id", "corpus_id", "doc_id")
_REBUILD = "Build the corpus again."


@dataclass(frozen=True, slots=True)
class ZPKGManifest:
    """What :func:`build_zpkg` made."""

    packs: tuple[PackInfo, ...]
    mapping: Path
    count: int
    text_bytes: int
    pack_bytes: int
    """Bytes of all packs: headers, dictionaries, tables and frames."""
    dictionary_digest: str


def build_zpkg(
    corpus_jsonl_path: str | Path,
    output_dir: str | Path,
    *,
    settings: PackSettings | None = None,
    largest_pack: int = LARGEST_PACK,
) -> ZPKGManifest:
    """Compress a corpus, one document a chunk, into packs and a mapping.

    Each line is an object with an id (``_id``, ``id``, ``corpus_id`` or ``doc_id``), ``text`` and, if it has one,
    ``title``; a title becomes the first line of its chunk. The file is read twice, once for the dictionary, and
    never held in memory; ids are. A corpus too small for a dictionary of its own gets a shipped one.

    Args:
        corpus_jsonl_path: UTF-8, one JSON object a line (BEIR's ``corpus.jsonl``).
        output_dir: folder for ``000000.zpkg``, ... and ``mapping.json``, made if missing.
        settings: level, dictionary size and limits; the defaults of :class:`PackSettings`.
        largest_pack: bytes of a pack before the next one is begun.

    Raises:
        InputError: EmptyInputError, MalformedLineError, EncodingError or LineTooLongError, naming file and line.
        DiskFullError: there is no space; no half-written file is left.
    """
    source, folder = Path(corpus_jsonl_path), Path(output_dir)
    settings = settings or PackSettings()
    dictionary = _choose_dictionary(source, settings)
    compressor = Compressor(dictionary, settings.level)
    folder.mkdir(parents=True, exist_ok=True)
    mapping = folder / MAPPING_NAME
    mapping.unlink(missing_ok=True)  # until the end there is no mapping, rather than one into other packs
    packs: list[PackInfo] = []
    places: dict[str, tuple[int, int, int]] = {}
    text_bytes = 0
    writer = PackWriter(folder / "000000.zpkg", dictionary, largest=largest_pack)
    try:
        for line, identifier, chunk in _documents(source, settings.chunk_limit):
            if identifier in places:
                raise MalformedLineError(f"The id {identifier!r} appears twice.", file=source, line=line)
            frame = compressor.compress(chunk)
            try:
                index = writer.add(frame)
            except PackFullError:
                if not len(writer):
                    raise
                packs.append(writer.seal())
                writer = PackWriter(folder / f"{len(packs):06d}.zpkg", dictionary, largest=largest_pack)
                index = writer.add(frame)
            places[identifier] = (len(packs), index, zlib.crc32(chunk))
            text_bytes += len(chunk)
        packs.append(writer.seal())
    finally:
        writer.close()
    _write_mapping(mapping, [pack.path.name for pack in packs], places)
    pack_bytes = sum(pack.size for pack in packs)
    return ZPKGManifest(tuple(packs), mapping, len(places), text_bytes, pack_bytes, dictionary.digest)


def get_compressed_chunk(zpkg_path: str | Path, key: str | int) -> bytes:
    """The frame of a chunk; nothing is decompressed.

    Args:
        zpkg_path: a pack made by :func:`build_zpkg`, or the folder of its packs.
        key: a corpus id (str), looked up in the mapping beside the packs, or a chunk number (int); in a
            folder, numbers run on from pack to pack.

    Raises:
        ChunkIndexError: there is no such id or chunk.
        ZpkgError: the pack or the mapping is missing or damaged.
    """
    frame, _, _ = _find(Path(zpkg_path), key)
    return frame


def get_decompressed_chunk(zpkg_path: str | Path, key: str | int, *, limit: int = 1 << 20) -> str:
    """The text of a chunk. For the tail of retrieval and for text baselines only: see :mod:`cem_rag_app.zpkg.late`.

    Args are those of :func:`get_compressed_chunk`, and ``limit``, the bytes the chunk may have. Errors too, and:

    Raises:
        FrameError: the frame is damaged, or does not hold the text that the mapping's checksum names.
        FrameTooLargeError: the chunk would exceed ``limit``.
    """
    from cem_rag_app.zpkg.late import read_text

    frame, dictionary, checksum = _find(Path(zpkg_path), key)
    return read_text(frame, dictionary, limit=limit, crc32=checksum)


def _documents(source: Path, limit: int) -> Iterator[tuple[int, str, bytes]]:
    """Line number, id and chunk of every document."""
    with source.open("rb") as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(raw) > _LONGEST_LINE:
                raise LineTooLongError(f"The line exceeds {_LONGEST_LINE} bytes.", file=source, line=number)
            if raw.strip():
                yield number, *_document(raw, limit, source, number)


def _document(raw: bytes, limit: int, source: Path, number: int) -> tuple[str, bytes]:
    try:
        record: Any = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise EncodingError("The line is not UTF-8.", file=source, line=number, remedy="Convert the file.") from error
    except (ValueError, RecursionError) as error:  # RecursionError: brackets nested by the thousand
        raise MalformedLineError(f"The line is not JSON ({error}).", file=source, line=number) from error
    if not isinstance(record, dict):
        raise MalformedLineError("The line is not a JSON object.", file=source, line=number)
    identifier = next((record[key] for key in _ID_KEYS if key in record), None)
    text, title = record.get("text"), record.get("title") or ""
    if not isinstance(identifier, str | int) or not isinstance(text, str) or not isinstance(title, str):
        remedy = f"Give each line an id ({', '.join(_ID_KEYS)}) and a text."
        raise MalformedLineError("The line has no id or no text.", file=source, line=number, remedy=remedy)
    try:
        chunk = (f"{title}\n{text}" if title else text).encode()
    except UnicodeEncodeError as error:
        raise EncodingError("The text has half a character.", file=source, line=number) from error
    if len(chunk) > limit:
        raise LineTooLongError(f"The text exceeds {limit} bytes.", file=source, line=number, remedy="Split it.")
    return str(identifier), chunk


def _choose_dictionary(source: Path, settings: PackSettings) -> Dictionary:
    """One of its own if the corpus is large enough, else the shipped one of its language; bounded memory."""
    budget = SAMPLES_PER_BYTE * settings.dictionary_size
    samples: list[bytes] = []
    held = count = total = 0
    spread = random.Random(0)  # noqa: S311 - a reproducible sample, no secret
    for _, _, chunk in _documents(source, settings.chunk_limit):
        count += 1
        total += len(chunk)
        # Reservoir sampling with a budget in bytes: while it lasts all are kept, then each replaces one in proportion.
        if held + len(chunk) <= budget:
            samples.append(chunk)
            held += len(chunk)
        elif (place := spread.randrange(count)) < len(samples):
            change = len(chunk) - len(samples[place])
            if held + change <= budget:
                held += change
                samples[place] = chunk
    if not count:
        raise EmptyInputError("There is no document in the file.", file=source)
    if count >= settings.own_dictionary_from:
        # Many documents that say next to nothing cannot be trained on; the shipped dictionary serves them as well.
        with contextlib.suppress(DictionaryError):
            return train_dictionary(samples, dictionary_size_for(total, settings.dictionary_size))
    return general_dictionary(_language(samples))


def _language(samples: list[bytes]) -> Literal["zh", "en"]:
    text = b" ".join(samples[:1000]).decode()
    han = sum("\u4e00" <= character <= "\u9fff" for character in text)
    return "zh" if han > 0.2 * len(text) else "en"


def _write_mapping(path: Path, packs: list[str], places: dict[str, tuple[int, int, int]]) -> None:
    with full_disk_named(path):
        file = create_temporary(path.parent)
        try:
            record = {"version": _MAPPING_VERSION, "packs": packs, "places": places}
            file.write(json.dumps(record, ensure_ascii=False).encode())
            publish(file, path)
        finally:
            discard(file)


def _find(path: Path, key: str | int) -> tuple[bytes, Dictionary, int | None]:
    """Frame, dictionary and, for an id, the checksum of the text."""
    if isinstance(key, str):
        folder = path if path.is_dir() else path.parent
        packs, places = _mapping(*_identity(folder / MAPPING_NAME))
        if key not in places:
            raise ChunkIndexError(f"{folder} has no document {key!r}.", remedy="Give an id of the corpus.")
        pack, index, checksum = places[key]
        reader = _pack(*_identity(folder / packs[pack]))
        return reader[index], reader.dictionary, checksum
    if path.is_dir():
        for file in sorted(path.glob("*.zpkg")):
            reader = _pack(*_identity(file))
            if 0 <= key < len(reader):
                return reader[key], reader.dictionary, None
            key -= len(reader)
        raise ChunkIndexError(f"{path} has no such chunk.", remedy="Count from 0 over all its packs.")
    reader = _pack(*_identity(path))
    return reader[key], reader.dictionary, None


def _identity(path: Path) -> tuple[Path, int, int]:
    """A file and what changes when it is replaced, so that caches never serve an older one."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise ZpkgError(f"{path} is missing.", remedy=_REBUILD) from error
    return path, found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=16)
def _pack(path: Path, _modified: int, _inode: int) -> Reader:
    return open_pack(path)


@lru_cache(maxsize=4)
def _mapping(path: Path, _modified: int, _inode: int) -> tuple[list[str], dict[str, tuple[int, int, int]]]:
    try:
        record = json.loads(path.read_bytes())
        packs, places = record["packs"], record["places"]
        if record["version"] != _MAPPING_VERSION or not isinstance(places, dict):
            raise ValueError("unknown version")
    except (ValueError, KeyError, TypeError) as error:
        raise ZpkgError(f"{path} is no mapping ({error}).", remedy=_REBUILD) from error
    return packs, places
