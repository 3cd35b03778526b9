"""`import --as hdf5`: what it prints, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from cem_rag_app.vectors.macros import MacroGenerator
from scripts.make_macros import SPLIT_FILE
from scripts.make_macros import main as make_macros
from stores.vectors.items import SearchRequest
from stores.vectors.service import VectorCollection
from ui.commands.import_ import import_


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    done = CliRunner().invoke(make_macros, [str(folder), "--count", "40", "--dimension", "16"])
    assert done.exit_code == 0, done.output
    return folder


def test_a_made_folder_has_the_split_of_the_drawing_datasets(data: Path) -> None:
    split = json.loads((data / SPLIT_FILE).read_text())
    assert {name: len(ids) for name, ids in split.items()} == {"train": 32, "validation": 4, "test": 4}
    every = {identifier for ids in split.values() for identifier in ids}
    assert len(every) == 40
    assert all((data / "vec" / f"{identifier}.h5").is_file() for identifier in every)


def test_vectors_are_taken_and_what_is_not_is_named(data: Path, tmp_path: Path) -> None:
    with h5py.File(data / "vec" / "0000" / "bad.h5", "w") as file:
        file["w"] = [1.0]
    where = tmp_path / "vectors"
    arguments = [str(data / "vec"), "--as", "hdf5", "--vectors", str(where)]
    done = CliRunner().invoke(import_, arguments)
    assert done.exit_code == 0, done.output
    assert "refused: 0000/bad.h5: it has neither z nor vec, but w" in done.output
    assert "41 files: 40 added, 0 were there already, 1 refused." in done.output
    again = CliRunner().invoke(import_, [*arguments, "--json"])
    report = json.loads(again.output)
    assert (report["inserted"], report["duplicates"], len(report["refused"])) == (0, 40, 1)
    collection = VectorCollection.open(where)
    part = MacroGenerator(1, 16).part()
    hit = collection.search(SearchRequest(part.z, k=1, vec=part.vec))[0]
    assert (hit.id, hit.metadata["label"], hit.metadata["source"]) == ("0000/00000000", part.label, "z")
    collection.close()
