"""Read files out of a local clone, with or without a work tree, through git itself."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Clone:
    """A local copy of one public repository; only its newest commit is read."""

    name: str
    path: Path

    def files(self, prefix: str = "", suffix: str = "") -> list[str]:
        """Paths in the newest commit that start and end as asked, sorted."""
        return sorted(name for name in self._blobs if name.startswith(prefix) and name.endswith(suffix))

    def read(self, paths: list[str]) -> Iterator[tuple[str, bytes]]:
        """Yield ``(path, content)``; a file that the clone lists but does not hold is left out.

        Partial clones list large files without having them: asking a server for them is not this script's business.
        """
        environment = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
        # By the blobs' own names: ``HEAD:path`` would walk a folder's whole listing again for each of its files.
        paths = [path for path in paths if path in self._blobs]
        requests = "".join(f"{self._blobs[path]}\n" for path in paths).encode("ascii")
        with subprocess.Popen(
            ["git", "-C", str(self.path), "cat-file", "--batch", "--buffer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as process:
            output, _ = process.communicate(requests)
        stream = io.BytesIO(output)
        for path in paths:
            header = stream.readline().rsplit(b" ", 2)
            if len(header) != 3 or not header[2].strip().isdigit():
                continue
            content = stream.read(int(header[2]))
            stream.read(1)
            yield path, content

    def text(self, path: str) -> str:
        """One file as text; empty when the clone does not hold it."""
        for _, content in self.read([path]):
            return content.decode("utf-8", "replace")
        return ""

    def zipped(self, path: str, suffix: str) -> Iterator[tuple[str, str]]:
        """Texts inside a zip file of the repository whose names end with ``suffix``."""
        for _, content in self.read([path]):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(suffix):
                        yield name, archive.read(name).decode("utf-8", "replace")

    @cached_property
    def _blobs(self) -> dict[str, str]:
        """Path in the newest commit to the name of its blob."""
        lines = self._git("ls-tree", "-r", "-z", "HEAD").decode("utf-8", "surrogateescape").split("\0")
        entries = (line.split("\t", 1) for line in lines if line)
        return {path: fields.split()[2] for fields, path in entries}

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(self.path), *arguments], check=True, capture_output=True).stdout


def find_clone(name: str, folder: Path) -> Clone | None:
    """The clone of ``owner/name`` under ``folder`` (as ``owner/name`` or ``owner+name``), or None."""
    flat = folder / name.replace("/", "+")
    for path in (folder / name, flat, flat / "repo", flat / "repo" / ".git"):
        if (path / ".git").exists() or (path / "HEAD").is_file():
            return Clone(name, path)
    return None
