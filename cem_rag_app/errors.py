"""Every error this project raises on purpose, in one tree.

Each message says what happened, where, and what to do next.

::

    CemRagError
    ├── SettingsError                 a setting is missing or contradicts another
    │   └── MissingKeyError           a model needs an API key that is not set
    ├── InputError                    a file the user gave cannot be taken (names file, line, remedy)
    │   ├── EmptyInputError           nothing usable in it
    │   ├── ColumnError               a named column or key is not there
    │   ├── MalformedLineError        a line is not what its format promises
    │   ├── LineTooLongError          a line exceeds the limit
    │   └── EncodingError             bytes that are no text in any supported encoding
    ├── ZpkgError                     a pack is not readable as a pack
    │   ├── MagicError                the file does not start like a pack
    │   ├── VersionError              a pack of a version this release cannot read
    │   ├── TruncatedError            the file ends too early
    │   ├── HeaderError               a header field contradicts the file
    │   ├── OffsetError               the offset table decreases or points outside
    │   ├── DictionaryError           the dictionary is missing, wrong or damaged
    │   ├── FrameError                a frame is damaged or is no zstd frame
    │   │   └── FrameTooLargeError    a frame would expand beyond its limit
    │   ├── ChunkIndexError           no chunk has that number
    │   └── PackFullError             a pack would exceed 4 GiB
    ├── ModelError                    an embedding or chat model cannot be used
    │   ├── CheckpointError           a checkpoint is missing, damaged or does not fit the pack
    │   ├── DimensionError            vectors of another space or size
    │   ├── MissingDependencyError    an optional package is not installed
    │   └── ChatModelError            the chat model failed, refused or answered nonsense
    ├── StoreError                    a memory on disk cannot be used
    │   ├── MemoryMissingError        there is no memory in that folder
    │   ├── MemoryExistsError         the folder holds a memory already
    │   ├── MemoryBusyError           another process is writing
    │   ├── MemoryVersionError        made by a newer release
    │   ├── MemoryCorruptError        a file is torn or damaged
    │   ├── DiskFullError             no space left; what was acknowledged is safe
    │   └── FilterError               a search filter that cannot be understood
    ├── PersonaError                  a change to the immutable part of a persona was refused
    └── ServiceError                  the HTTP service refused or could not be reached
"""

from __future__ import annotations

from pathlib import Path


class CemRagError(Exception):
    """Root of the tree. ``remedy`` says what to do next and is part of the message."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class SettingsError(CemRagError):
    """A setting is missing or contradicts another."""


class MissingKeyError(SettingsError):
    """A model needs an API key that is not set."""


class InputError(CemRagError):
    """A file the user gave cannot be taken; names the file and, where known, the line."""

    def __init__(self, message: str, *, file: str | Path = "", line: int | None = None, remedy: str = "") -> None:
        self.file = str(file)
        self.line = line
        place = f"{self.file}:{line}: " if line is not None else f"{self.file}: " if file else ""
        super().__init__(f"{place}{message}", remedy=remedy)


class EmptyInputError(InputError):
    """Nothing usable in the file."""


class ColumnError(InputError):
    """A named column or key is not there."""


class MalformedLineError(InputError):
    """A line is not what its format promises."""


class LineTooLongError(InputError):
    """A line exceeds the limit."""


class EncodingError(InputError):
    """Bytes that are no text in any supported encoding."""


class ZpkgError(CemRagError):
    """A pack is not readable as a pack."""


class MagicError(ZpkgError):
    """The file does not start like a pack."""


class VersionError(ZpkgError):
    """A pack of a version this release cannot read."""


class TruncatedError(ZpkgError):
    """The file ends too early."""


class HeaderError(ZpkgError):
    """A header field contradicts the file."""


class OffsetError(ZpkgError):
    """The offset table decreases or points outside."""


class DictionaryError(ZpkgError):
    """The dictionary is missing, wrong or damaged."""


class FrameError(ZpkgError):
    """A frame is damaged or is no zstd frame."""


class FrameTooLargeError(FrameError):
    """A frame would expand beyond its limit."""


class ChunkIndexError(ZpkgError):
    """No chunk has that number."""


class PackFullError(ZpkgError):
    """A pack would exceed 4 GiB."""


class ModelError(CemRagError):
    """An embedding or chat model cannot be used."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged or does not fit the pack."""


class DimensionError(ModelError):
    """Vectors of another space or size."""


class MissingDependencyError(ModelError):
    """An optional package is not installed."""


class ChatModelError(ModelError):
    """The chat model failed, refused or answered nonsense."""


class StoreError(CemRagError):
    """A memory on disk cannot be used."""


class MemoryMissingError(StoreError):
    """There is no memory in that folder."""


class MemoryExistsError(StoreError):
    """The folder holds a memory already."""


class MemoryBusyError(StoreError):
    """Another process is writing."""


class MemoryVersionError(StoreError):
    """Made by a newer release."""


class MemoryCorruptError(StoreError):
    """A file is torn or damaged."""


class DiskFullError(StoreError):
    """No space left; what was acknowledged is safe."""


class FilterError(StoreError):
    """A search filter that cannot be understood."""


class PersonaError(CemRagError):
    """A change to the immutable part of a persona was refused."""


class ServiceError(CemRagError):
    """The HTTP service refused or could not be reached; the message is the service's own."""
