"""Folders of HDF5 files: what is taken, what is refused and why, and going on where an import stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from cem_rag_app.errors import EmptyInputError, InputError
from stores.vectors.importing import BATCH, import_folder
from stores.vectors.items import SearchRequest
from stores.vectors.service import VectorCollection

DIMENSION = 12


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[VectorCollection]:
    made = VectorCollection.create(tmp_path / "collection")
    yield made
    made.close()


def write(path: Path, label: str | None = None, **arrays: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file[key] = values
        if label is not None:
            file.attrs["label"] = label


def z(seed: int, dimension: int = DIMENSION) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


def vec(seed: int, columns: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 6, (7, columns)).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "vec"
    for number in range(6):
        write(root / f"{number % 2:04d}" / f"{number:08d}.h5", f"family{number}", z=z(number), vec=vec(number))
    return root


def test_files_become_items_with_their_folder_as_subset(collection: VectorCollection, folder: Path) -> None:
    report = import_folder(collection, folder)
    assert (report.files, report.inserted, report.duplicates, report.refused) == (6, 6, 0, [])
    stored = collection.get("0001/00000003")
    assert stored.metadata == {
        "subset": "0001",
        "label": "family3",
        "source": "z",
        "file_path": "0001/00000003.h5",
    }
    np.testing.assert_allclose(stored.z, z(3) / np.linalg.norm(z(3)), atol=1e-6)
    np.testing.assert_array_equal(stored.vec, vec(3))


def test_every_file_that_does_not_fit_is_named_with_its_reason(collection: VectorCollection, folder: Path) -> None:
    bad = folder / "0009"
    nan = z(1)
    nan[3] = np.nan
    write(bad / "nan.h5", z=nan)
    write(bad / "huge.h5", z=np.full(DIMENSION, 1e300))
    write(bad / "zero.h5", z=np.zeros(DIMENSION))
    write(bad / "wide.h5", z=z(1, 13))
    write(bad / "words.h5", z=np.array([b"a", b"b"]))
    write(bad / "cube.h5", z=np.zeros((2, 2, 2)))
    write(bad / "scalar.h5", z=3.0)
    write(bad / "empty.h5", z=np.zeros(0))
    write(bad / "other.h5", w=z(1))
    write(bad / "only-vec.h5", vec=vec(1))
    write(bad / "columns.h5", z=z(1), vec=vec(1, 6))
    write(bad / "nan-vec.h5", z=z(1), vec=np.full((3, 5), np.inf))
    (bad / "torn.h5").write_bytes((folder / "0000" / "00000000.h5").read_bytes()[:900])
    (bad / "text.h5").write_text("no HDF5")
    with h5py.File(bad / "link.h5", "w") as file:
        file["z"] = h5py.ExternalLink("../0000/00000000.h5", "z")
    with h5py.File(bad / "group.h5", "w") as file:
        file.create_group("z")
    report = import_folder(collection, folder)
    reasons = {refused.file_path.removeprefix("0009/"): refused.reason for refused in report.refused}
    wanted = {
        "nan.h5": "NaN",
        "huge.h5": "too large",
        "zero.h5": "all zeros",
        "wide.h5": "13 dimensions, the others have 12",
        "words.h5": "not numbers",
        "cube.h5": "(2, 2, 2)",
        "scalar.h5": "shape ()",
        "empty.h5": "shape (0,)",
        "other.h5": "neither z nor vec, but w",
        "only-vec.h5": "no z",
        "columns.h5": "6 columns, the others have 5",
        "nan-vec.h5": "NaN",
        "torn.h5": "cannot be read",
        "text.h5": "cannot be read",
        "link.h5": "link",
        "group.h5": "group",
    }
    assert set(reasons) == set(wanted)
    for name, words in wanted.items():
        assert words in reasons[name], (name, reasons[name])
    assert (report.inserted, report.files) == (6, 22)


def test_data_of_other_files_is_not_taken(collection: VectorCollection, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(z(7).tobytes())
    write(tmp_path / "other.h5", z=z(8))
    with h5py.File(folder / "0000" / "external.h5", "w") as file:
        file.create_dataset("z", (DIMENSION,), "f4", external=[(str(secret), 0, 4 * DIMENSION)])
    with h5py.File(folder / "0000" / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((DIMENSION,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "z", (DIMENSION,))
        file.create_virtual_dataset("z", layout)
    report = import_folder(collection, folder)
    assert report.inserted == 6
    assert {refused.file_path: refused.reason for refused in report.refused} == {
        f"0000/{name}.h5": "z lies in other files, which are not opened" for name in ("external", "virtual")
    }


def test_a_chunk_that_unpacks_to_far_more_than_its_vector_is_not_unpacked(
    collection: VectorCollection, folder: Path
) -> None:
    for name, size in (("bomb", 2**24), ("small", 2**10)):
        with h5py.File(folder / "0000" / f"{name}.h5", "w") as file:
            made = file.create_dataset("z", (DIMENSION,), "f4", chunks=(size,), maxshape=(None,), compression="gzip")
            made[:] = z(size)
    report = import_folder(collection, folder)
    assert report.inserted == 7
    assert [refused.file_path for refused in report.refused] == ["0000/bomb.h5"]
    assert "chunks of 67108864 bytes" in report.refused[0].reason


def test_of_two_files_with_one_id_the_second_is_named(collection: VectorCollection, folder: Path) -> None:
    write(folder / "0000" / "00000000.hdf5", z=z(30))
    for inserted, duplicates in ((6, 0), (0, 6)):
        report = import_folder(collection, folder)
        assert (report.files, report.inserted, report.duplicates) == (7, inserted, duplicates)
        assert [refused.file_path for refused in report.refused] == ["0000/00000000.hdf5"]
        assert "the id of 00000000.h5" in report.refused[0].reason
    np.testing.assert_allclose(collection.get("0000/00000000").z, z(0) / np.linalg.norm(z(0)), atol=1e-6)


def test_kinds_of_numbers_and_spare_axes_are_taken(collection: VectorCollection, folder: Path) -> None:
    write(folder / "0002" / "double.h5", z=z(21).astype(np.float64))
    write(folder / "0002" / "half.h5", z=z(22).astype(np.float16))
    write(folder / "0002" / "whole.h5", z=np.arange(DIMENSION))
    write(folder / "0002" / "row.h5", z=z(23)[None, :], vec=vec(1)[None])
    assert import_folder(collection, folder).refused == []


def test_equal_vectors_are_stored_once(collection: VectorCollection, folder: Path) -> None:
    write(folder / "0003" / "twin.h5", z=z(2), vec=vec(2))
    write(folder / "0003" / "longer.h5", z=4 * z(2), vec=vec(2))
    report = import_folder(collection, folder)
    assert report.inserted == 6
    assert report.duplicates == 2


def test_an_import_goes_on_where_it_stopped(collection: VectorCollection, tmp_path: Path) -> None:
    root = tmp_path / "many"
    for number in range(BATCH + 20):
        write(root / "0000" / f"{number:08d}.h5", z=z(number))

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        import_folder(collection, root, stop)
    assert collection.stats()["count"] == BATCH
    for number in range(BATCH):  # what is stored is not opened again
        (root / "0000" / f"{number:08d}.h5").write_bytes(b"gone")
    report = import_folder(collection, root)
    assert (report.inserted, report.duplicates, report.refused) == (20, BATCH, [])


def test_sequences_without_latent_vectors_are_described(collection: VectorCollection, tmp_path: Path) -> None:
    root = tmp_path / "deepcad"
    for number in range(8):
        write(root / "0000" / f"{number}.h5", vec=vec(number, 17))
    write(root / "0000" / "odd.h5", z=z(1), vec=vec(9, 17))
    report = import_folder(collection, root)
    assert report.inserted == 8
    assert ["the others have none" in refused.reason for refused in report.refused] == [True]
    stored = collection.get("0000/3")
    assert stored.metadata["source"] == "vec"
    assert collection.search(SearchRequest(stored.z, k=1, vec=stored.vec))[0].id == "0000/3"


def test_labels_may_lie_beside_the_files(collection: VectorCollection, folder: Path) -> None:
    (folder / "labels.json").write_text('{"0000/00000000": "gear"}')
    import_folder(collection, folder)
    assert collection.get("0000/00000000").metadata["label"] == "gear"
    assert collection.get("0000/00000002").metadata["label"] == "family2"
    (folder / "labels.json").write_text("[1]")
    with pytest.raises(InputError, match="labels"):
        import_folder(collection, folder)


def test_a_folder_without_files_is_told(collection: VectorCollection, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyInputError):
        import_folder(collection, tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder"):
        import_folder(collection, tmp_path / "nowhere")
