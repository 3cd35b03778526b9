"""I3: zpkg knows no ids, no metadata and no text. And only `late` opens frames."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cem_rag_app.zpkg
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.reader import Reader, open_pack
from cem_rag_app.zpkg.writer import PackWriter

PACKAGE = Path(cem_rag_app.zpkg.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
MAY_KNOW = {"cem_rag_app.errors", "cem_rag_app.files", "cem_rag_app.zpkg", "numpy", "zstandard"}


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_zpkg_imports_nothing_that_knows_ids_metadata_or_models(module: Path) -> None:
    foreign = {
        name
        for name in imports(module)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == known or name.startswith(f"{known}.") for known in MAY_KNOW)
    }
    assert foreign == set()


def test_only_late_opens_frames_and_only_repacking_imports_late() -> None:
    users = {path.stem for path in MODULES if any(name.startswith("cem_rag_app.zpkg.late") for name in imports(path))}
    openers = {path.stem for path in MODULES if "Decompressor" in path.read_text(encoding="utf-8")}
    assert (users, openers) == ({"repack"}, {"late"})


def test_writing_and_reading_packs_never_loads_decompression() -> None:
    program = (
        "import sys, cem_rag_app.corpus, cem_rag_app.zpkg.compress, cem_rag_app.zpkg.dictionary,"
        "cem_rag_app.zpkg.reader, cem_rag_app.zpkg.writer, cem_rag_app.zpkg.measure\n"
        "sys.exit('cem_rag_app.zpkg.late' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_doors_take_frames_and_numbers_only() -> None:
    assert list(inspect.signature(PackWriter.add).parameters) == ["self", "frame"]
    assert list(inspect.signature(Reader.__getitem__).parameters) == ["self", "index"]


def test_every_byte_of_a_pack_is_header_dictionary_table_or_frame(
    tmp_path: Path, dictionary: Dictionary, texts: list[bytes]
) -> None:
    path = tmp_path / "customer-4711.zpkg"
    frames = [Compressor(dictionary).compress(text) for text in texts]
    with PackWriter(path, dictionary) as writer:
        for frame in frames:
            writer.add(frame)
        writer.seal()
    with open_pack(path) as reader:
        header = reader.header
    data = path.read_bytes()
    table = data[header.table_start : header.frames_start]
    assert data == header.to_bytes() + dictionary.data + table + b"".join(frames)
    assert len(data) == 32 + len(dictionary.data) + 4 * len(frames) + sum(map(len, frames))
    assert b"4711" not in data
    assert not any(text in data for text in texts)
