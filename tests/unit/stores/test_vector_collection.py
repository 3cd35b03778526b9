"""A vector collection: two stages, the index on disk, and what happens when it is not what it should be."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.errors import (
    FilterError,
    InputError,
    MemoryCorruptError,
    MemoryExistsError,
    MissingDependencyError,
    SettingsError,
    StoreError,
)
from cem_rag_app.vectors.distances import similarities
from cem_rag_app.vectors.macros import MacroGenerator, Part
from stores.fusion import borda, min_max_weighted, reciprocal_ranks
from stores.indexes.base import IndexParameters
from stores.vectors.frames import pack_sequence, unpack_sequence
from stores.vectors.items import FusionSettings, SearchRequest, VectorItem
from stores.vectors.live import parameters_for
from stores.vectors.service import VectorCollection


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    generator = MacroGenerator(11, 32)
    return [generator.part() for _ in range(400)]


@pytest.fixture
def collection(tmp_path: Path, parts: list[Part]) -> Iterator[VectorCollection]:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(number, part) for number, part in enumerate(parts)])
    yield made
    made.close()


def item(number: int, part: Part) -> VectorItem:
    return VectorItem(f"i{number}", part.z, {"label": part.label, "subset": f"{number % 4:04d}"}, part.vec)


@pytest.mark.parametrize("method", ["weighted", "rrf", "borda"])
@pytest.mark.parametrize("stage", ["aligned", "dtw", "edit"])
def test_two_stages_are_what_exact_search_and_the_definitions_give(
    collection: VectorCollection, parts: list[Part], method: str, stage: str
) -> None:
    query = parts[7]
    request = SearchRequest(
        query.z, k=10, stage_n=50, vec=query.vec, second_stage=stage, fusion=FusionSettings(method, 0.3, 0.7, 10)
    )
    first = np.stack([part.z for part in parts]) @ query.z
    candidates = np.argsort(-first, kind="stable")[:50]
    second = similarities(query.vec, [parts[place].vec for place in candidates], stage)
    table = np.stack((first[candidates], second), axis=1)
    fused = {
        "weighted": lambda: min_max_weighted(table, (0.3, 0.7)),
        "rrf": lambda: reciprocal_ranks(table, 10),
        "borda": lambda: borda(table),
    }[method]()
    order = np.argsort(-fused, kind="stable")[:10]
    hits = collection.search(request)
    assert [hit.id for hit in hits] == [f"i{candidates[place]}" for place in order]
    np.testing.assert_allclose([hit.score for hit in hits], fused[order], atol=1e-5)
    np.testing.assert_allclose([hit.sim_z for hit in hits], first[candidates[order]], atol=1e-5)
    np.testing.assert_allclose([hit.sim_orig for hit in hits], second[order], atol=1e-6)
    assert hits[0].id == "i7"


def test_without_a_sequence_there_is_one_stage(collection: VectorCollection, parts: list[Part]) -> None:
    hits = collection.search(SearchRequest(parts[3].z, k=5))
    assert hits[0].id == "i3"
    assert all(hit.sim_orig is None and hit.score == hit.sim_z for hit in hits)


def test_an_item_without_a_sequence_is_ranked_by_its_vector_alone(
    collection: VectorCollection, parts: list[Part]
) -> None:
    collection.add([VectorItem("bare", parts[3].z)])
    hits = collection.search(SearchRequest(parts[3].z, k=60, stage_n=60, vec=parts[3].vec))
    bare = next(hit for hit in hits if hit.id == "bare")
    assert bare.sim_orig is None
    assert bare.score == pytest.approx(0.6)
    assert hits[0].id == "i3"


def test_many_questions_are_answered_as_one_by_one(collection: VectorCollection, parts: list[Part]) -> None:
    requests = [
        SearchRequest(parts[1].z, k=3),
        SearchRequest(parts[2].z, k=7, filters={"subset": ["0001", "0002"]}),
        SearchRequest(parts[3].z, k=4, vec=parts[3].vec, filters={"label": parts[3].label}),
        SearchRequest(parts[4].z, k=2, metric="l2"),
    ]
    assert collection.search_many(requests) == [collection.search(request) for request in requests]
    assert collection.search_many([]) == []


def test_distance_over_unit_vectors_ranks_as_the_cosine_does(collection: VectorCollection, parts: list[Part]) -> None:
    cosine = collection.search(SearchRequest(parts[9].z, k=10))
    distance = collection.search(SearchRequest(parts[9].z, k=10, metric="l2"))
    assert [hit.id for hit in cosine] == [hit.id for hit in distance]
    np.testing.assert_allclose(
        [hit.sim_z for hit in distance],
        [1 / (1 + np.sqrt(max(0.0, 2 - 2 * hit.sim_z))) for hit in cosine],
        atol=1e-3,
    )


def test_a_collection_of_distances_keeps_lengths(tmp_path: Path) -> None:
    made = VectorCollection.create(tmp_path / "l2", metric="l2")
    draw = np.random.default_rng(0)
    rows = (draw.standard_normal((50, 6)) * draw.uniform(0.1, 9, (50, 1))).astype(np.float32)
    made.add([VectorItem(str(number), row) for number, row in enumerate(rows)])
    made.add([VectorItem("origin", np.zeros(6, dtype=np.float32))])
    query = rows[4] + 0.1
    hits = made.search(SearchRequest(query, k=51, metric="l2"))
    everything = np.vstack((rows, np.zeros((1, 6), dtype=np.float32)))
    distances = np.linalg.norm(everything - query, axis=1)
    names = [*map(str, range(50)), "origin"]
    assert [hit.id for hit in hits] == [names[place] for place in np.argsort(distances, kind="stable")]
    np.testing.assert_allclose([hit.sim_z for hit in hits], 1 / (1 + np.sort(distances)), atol=1e-4)
    np.testing.assert_array_equal(made.get("4").z, rows[4])
    with pytest.raises(FilterError, match="l2"):
        made.search(SearchRequest(query))
    made.close()


def test_a_filter_loses_nothing(collection: VectorCollection, parts: list[Part]) -> None:
    query = parts[0]
    hits = collection.search(SearchRequest(query.z, k=10, filters={"subset": "0003"}))
    similar = np.stack([part.z for part in parts]) @ query.z
    allowed = [number for number in np.argsort(-similar).tolist() if number % 4 == 3]
    assert [hit.id for hit in hits] == [f"i{number}" for number in allowed[:10]]


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "ivfpq", "rabitq"])
def test_every_kind_of_index_answers_follows_and_is_read_back(kind: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows = draw.standard_normal((1_500, 16)).astype(np.float32)
    made = VectorCollection.create(tmp_path / kind, index=IndexParameters(kind, nlist=8, nprobe=8))
    made.add([VectorItem(str(number), row) for number, row in enumerate(rows)])
    made.build()
    assert made.stats()["index"]["kind"] == kind
    made.add([VectorItem("new", -rows[5])])
    made.delete("5")
    for _ in range(2):
        assert made.search(SearchRequest(-rows[5], k=1))[0].id == "new"
        assert made.search(SearchRequest(rows[6], k=1))[0].id == "6"
        assert "5" not in {hit.id for hit in made.search(SearchRequest(rows[5], k=50))}
        made.close()
        made = VectorCollection.open(tmp_path / kind)
    made.close()


def test_an_index_that_was_never_saved_is_made_from_the_catalog(tmp_path: Path, parts: list[Part]) -> None:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(number, part) for number, part in enumerate(parts[:50])])
    again = VectorCollection.open(tmp_path / "vectors")  # the first has not been closed: as after a kill
    assert again.search(SearchRequest(parts[9].z, k=1))[0].id == "i9"
    again.close()
    made.close()


@pytest.mark.parametrize("name", ["faiss_index.bin", "id_map.json", "config.json"])
def test_a_damaged_index_is_not_believed(tmp_path: Path, parts: list[Part], name: str) -> None:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(number, part) for number, part in enumerate(parts[:50])])
    made.save()
    made.close()
    path = tmp_path / "vectors" / "index" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = VectorCollection.open(tmp_path / "vectors")
    for number in (0, 20, 49):
        assert again.search(SearchRequest(parts[number].z, k=1))[0].id == f"i{number}"
    again.close()


def test_an_index_of_another_collection_is_not_believed(tmp_path: Path, parts: list[Part]) -> None:
    for name, some in (("small", parts[:5]), ("large", parts[:50])):
        made = VectorCollection.create(tmp_path / name)
        made.add([item(number, part) for number, part in enumerate(some)])
        made.save()
        made.close()
    (tmp_path / "small" / "index").rename(tmp_path / "away")
    (tmp_path / "large" / "index").rename(tmp_path / "small" / "index")
    again = VectorCollection.open(tmp_path / "small")
    assert len(again.search(SearchRequest(parts[0].z, k=50))) == 5
    again.close()


def test_an_index_of_another_collection_of_the_same_size_is_not_believed(tmp_path: Path, parts: list[Part]) -> None:
    for name, some in (("one", parts[:50]), ("two", parts[50:100])):
        made = VectorCollection.create(tmp_path / name)
        made.add([item(number, part) for number, part in enumerate(some)])
        made.save()
        made.close()
    (tmp_path / "one" / "index").rename(tmp_path / "away")
    (tmp_path / "two" / "index").rename(tmp_path / "one" / "index")
    again = VectorCollection.open(tmp_path / "one")
    for number in (0, 20, 49):
        assert again.search(SearchRequest(parts[number].z, k=1))[0].id == f"i{number}"
    again.close()


def test_an_index_newer_than_a_catalog_put_back_is_not_believed(tmp_path: Path, parts: list[Part]) -> None:
    catalog = tmp_path / "vectors" / "vectors.sqlite"
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(0, parts[0])])
    made.close()
    before = catalog.read_bytes()
    for number in (1, 2):
        catalog.write_bytes(before)
        made = VectorCollection.open(tmp_path / "vectors")
        made.add([item(number, parts[number])])
        if number == 1:
            made.save()
            made.close()
        else:
            assert made.search(SearchRequest(parts[2].z, k=1))[0].sim_z == pytest.approx(1, abs=1e-5)
            made.close()


def test_a_collection_made_before_identities_is_given_one(tmp_path: Path, parts: list[Part]) -> None:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(number, part) for number, part in enumerate(parts[:5])])
    made.close()
    with sqlite3.connect(tmp_path / "vectors" / "vectors.sqlite") as connection:
        connection.execute("ALTER TABLE collection DROP COLUMN identity")
    connection.close()
    names = set()
    for _ in range(2):
        again = VectorCollection.open(tmp_path / "vectors")
        names.add(again._catalog.identity())
        again.add([item(number, parts[number]) for number in range(5, 7)])
        assert again.search(SearchRequest(parts[6].z, k=1))[0].id == "i6"
        again.close()
    assert len(names) == 1
    assert len(names.pop()) == 32


def test_a_catalog_by_url_is_taken_into_another_folder(tmp_path: Path, parts: list[Part]) -> None:
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    first = VectorCollection.open_or_create(tmp_path / "here", url)
    first.add([item(number, part) for number, part in enumerate(parts[:5])])
    for _ in range(2):
        second = VectorCollection.open_or_create(tmp_path / "there", url)
        assert second.search(SearchRequest(parts[4].z, k=1))[0].id == "i4"
        second.close()
    first.close()
    VectorCollection.open(tmp_path / "there").close()


def test_a_making_that_was_cut_short_is_finished(tmp_path: Path, parts: list[Part]) -> None:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(1, parts[1])])
    made.close()
    (tmp_path / "vectors" / "collection.json").unlink()
    with pytest.raises(MemoryExistsError):
        VectorCollection.create(tmp_path / "vectors", metric="l2")
    again = VectorCollection.create(tmp_path / "vectors")
    assert again.search(SearchRequest(parts[1].z, k=1))[0].id == "i1"
    again.close()


@pytest.mark.parametrize("text", ["", '{"format": 1, "cat', "[]", '{"catalog": null, "index": {"sort": 3}}'])
def test_a_torn_description_is_told_and_can_be_made_again(tmp_path: Path, text: str) -> None:
    VectorCollection.create(tmp_path / "vectors").close()
    (tmp_path / "vectors" / "collection.json").write_text(text)
    with pytest.raises(MemoryCorruptError, match="remove that file"):
        VectorCollection.open(tmp_path / "vectors")
    (tmp_path / "vectors" / "collection.json").unlink()
    VectorCollection.open_or_create(tmp_path / "vectors").close()


@pytest.mark.parametrize(
    "filters",
    [
        {"$or": [{"label": "a"}] * 1_000},
        {"$or": [{}] * 1_000},
        {"$or": [{"label": {"$ne": "a"}}] * 251},
        {"$or": [{"label": [None, "a"]}] * 251},
        {"$and": [{"label": [str(number) for number in range(1_000)]}] * 300},
        {"$not": {"$not": {"$not": {"$or": [{"label": "a"}] * 100}}}},
    ],
)
def test_a_filter_too_large_for_a_database_is_told(collection: VectorCollection, parts: list[Part], filters) -> None:
    with pytest.raises(FilterError, match="at most 500 conditions"):
        collection.search(SearchRequest(parts[0].z, filters=filters))


@pytest.mark.parametrize(
    "filters",
    [
        {"$or": [{"label": "a"}] * 500},
        {"$or": [{"label": {"$ne": "a"}}] * 250},
        {"$not": {"$or": [{"seq_len": {"$gte": 0, "$lt": 9_999}}] * 125}},
        {"$and": [{"id": [f"i{number}" for number in range(1_000)]}] * 10},
        {"$and": [{"$or": [{"$and": [{"$or": [{"label": [None, "a"]}, {"id": {"$ne": "b"}}]}] * 5}] * 5}] * 5},
    ],
)
def test_a_filter_of_the_largest_size_is_answered(collection: VectorCollection, parts: list[Part], filters) -> None:
    collection.search(SearchRequest(parts[0].z, filters=filters))


def test_what_has_no_file_is_found_by_null_and_empty_text_is_kept(
    collection: VectorCollection, parts: list[Part]
) -> None:
    collection.add([VectorItem("filed", parts[0].z, {"file_path": "a.h5", "label": "", "source": ""})])
    assert collection.get("filed").metadata == {"file_path": "a.h5", "label": "", "source": ""}
    found = collection.search(SearchRequest(parts[0].z, k=500, filters={"file_path": None}))
    assert len(found) == len(parts)
    assert all("file_path" not in hit.metadata for hit in found)
    found = collection.search(SearchRequest(parts[0].z, k=500, filters={"file_path": [None, "a.h5"]}))
    assert len(found) == len(parts) + 1


@pytest.mark.parametrize("column", ["z", "frame"])
def test_a_damaged_vector_is_named_and_no_index_is_made_of_it(tmp_path: Path, parts: list[Part], column: str) -> None:
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([item(number, part) for number, part in enumerate(parts[:5])])
    made.close()
    with sqlite3.connect(tmp_path / "vectors" / "vectors.sqlite") as connection:
        (data,) = connection.execute(f"SELECT {column} FROM vectors WHERE item_key = 3").fetchone()
        damaged = data[:9] + bytes([data[9] ^ 1]) + data[10:]
        connection.execute(f"UPDATE vectors SET {column} = ? WHERE item_key = 3", (damaged,))
    connection.close()
    again = VectorCollection.open(tmp_path / "vectors")
    assert again.get("i1").id == "i1"
    with pytest.raises(MemoryCorruptError, match="key 3"):
        again.get("i2")
    with pytest.raises(MemoryCorruptError, match="key 3"):
        again.search(SearchRequest(parts[0].z))
    assert again.delete("i2")
    assert len(again.search(SearchRequest(parts[0].z))) == 4
    again.close()


def with_a_damaged_row(path: Path, key: int) -> bytes:
    """Flip a bit of a stored vector; returns what it was."""
    with sqlite3.connect(path) as connection:
        (data,) = connection.execute("SELECT z FROM vectors WHERE item_key = ?", (key,)).fetchone()
        connection.execute("UPDATE vectors SET z = ? WHERE item_key = ?", (bytes([data[0] ^ 1]) + data[1:], key))
    connection.close()
    return data


def test_a_piece_that_fails_leaves_the_pieces_before_it_in_the_index_once(tmp_path: Path) -> None:
    rows = np.random.default_rng(5).standard_normal((5_000, 6)).astype(np.float32)
    made = VectorCollection.create(tmp_path / "vectors")
    made.add([VectorItem(str(number), rows[number]) for number in range(10)])
    assert made.search(SearchRequest(rows[3], k=1))[0].id == "3"
    made.add([VectorItem(str(number), rows[number]) for number in range(10, 5_000)])
    whole = with_a_damaged_row(tmp_path / "vectors" / "vectors.sqlite", 4_900)
    for _ in range(3):
        with pytest.raises(MemoryCorruptError, match="key 4900"):
            made.search(SearchRequest(rows[3]))
    with sqlite3.connect(tmp_path / "vectors" / "vectors.sqlite") as connection:
        connection.execute("UPDATE vectors SET z = ? WHERE item_key = 4900", (whole,))
    connection.close()
    for number in (3, 11, 4_000, 4_899, 4_999):
        assert made.search(SearchRequest(rows[number], k=1))[0].id == str(number)
    assert len(made._index._state.index) == 5_000
    made.close()


def test_an_index_with_more_vectors_than_keys_is_made_again(collection: VectorCollection, parts: list[Part]) -> None:
    collection.search(SearchRequest(parts[0].z))
    collection._index._state.index.add(np.stack([part.z for part in parts[:3]]))
    collection.add([VectorItem("new", -parts[5].z)])
    assert collection.search(SearchRequest(-parts[5].z, k=1))[0].id == "new"
    assert len(collection._index._state.index) == len(parts) + 1


def test_without_a_wish_the_size_decides_how_vectors_are_searched() -> None:
    assert parameters_for(10_000).kind == "flat"
    assert (parameters_for(10_001).kind, parameters_for(1_000_000).nlist) == ("ivf", 4_000)


@pytest.mark.slow
def test_a_collection_that_outgrows_exact_search_gets_cells_and_then_more_of_them(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    rows = draw.standard_normal((42_000, 4)).astype(np.float32)
    made = VectorCollection.create(tmp_path / "growing")
    kinds = []
    for start, end in ((0, 10_000), (10_000, 10_500), (10_500, 42_000)):
        made.add([VectorItem(str(number), rows[number]) for number in range(start, end)])
        assert made.search(SearchRequest(rows[end - 1], k=1))[0].id == str(end - 1)
        index = made.stats()["index"]
        kinds.append((index["kind"], index["nlist"]))
    assert kinds == [("flat", 0), ("ivf", 409), ("ivf", 819)]
    assert made.search(SearchRequest(rows[5], k=1))[0].id == "5"
    made.close()


def test_a_mostly_deleted_index_is_written_anew(collection: VectorCollection, parts: list[Part]) -> None:
    collection.search(SearchRequest(parts[0].z))
    for number in range(300):
        collection.delete(f"i{number}")
    hits = collection.search(SearchRequest(parts[399].z, k=400))
    assert {hit.id for hit in hits} == {f"i{number}" for number in range(300, 400)}
    assert len(collection._index._state.chunk_ids) < 300


def test_a_sequence_is_kept_without_loss() -> None:
    draw = np.random.default_rng(2)
    for values in (
        draw.integers(-1, 256, (60, 17)),
        draw.standard_normal((3, 5)),
        np.array([[40_000.0]]),
        np.array([[-1.0]]),
    ):
        sequence = values.astype(np.float32)
        np.testing.assert_array_equal(unpack_sequence(pack_sequence(sequence)), sequence)


def test_a_flipped_bit_in_a_sequence_is_noticed() -> None:
    sequence = np.random.default_rng(2).integers(-1, 256, (30, 17)).astype(np.float32)
    frame = pack_sequence(sequence)
    for place in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[place] ^= 1 << bit
            with pytest.raises(MemoryCorruptError):
                unpack_sequence(bytes(damaged))
    for length in range(len(frame)):
        with pytest.raises(MemoryCorruptError):
            unpack_sequence(frame[:length])


@pytest.mark.parametrize("vector", [np.full(32, np.nan), np.zeros(32), np.ones((2, 32)), np.array(["a"] * 32), []])
def test_a_query_that_is_no_vector_is_told(collection: VectorCollection, vector: object) -> None:
    with pytest.raises(InputError):
        collection.search(SearchRequest(vector))


def test_addresses_that_make_no_sense_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        VectorCollection.create(tmp_path / "a", "not a url")
    with pytest.raises(SettingsError):
        VectorCollection.create(tmp_path / "b", "nosuch://host/db")
    with pytest.raises(MissingDependencyError, match="pip install"):
        VectorCollection.create(tmp_path / "c", "postgresql+pg8000://host/db")
    with pytest.raises(StoreError):
        VectorCollection.create(tmp_path / "d", f"sqlite:///{tmp_path}/no/such/folder/x.sqlite")


def test_a_password_is_neither_stored_nor_shown(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        VectorCollection.create(tmp_path / "a", "postgresql+psycopg://user:hush@/db?host=/nonexistent")
    assert "hush" not in str(refused.value)
    assert "hush" not in json.dumps([path.read_text() for path in tmp_path.rglob("*") if path.is_file()])


@pytest.mark.parametrize("option", ["password", "PASSWORD", "sslpassword", "passwd"])
def test_a_password_among_the_options_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(SettingsError, match="before the host") as refused:
        VectorCollection.create(tmp_path / "a", f"postgresql+psycopg://user@host/db?{option}=hush")
    assert "hush" not in str(refused.value)
    assert not (tmp_path / "a" / "collection.json").exists()
