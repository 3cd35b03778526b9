"""One suite for every SQL engine that may keep a vector collection: SQLite, PostgreSQL, OceanBase."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from cem_rag_app.errors import DimensionError, FilterError, InputError, MemoryExistsError, MemoryMissingError
from stores.vectors.items import AddReport, SearchRequest, VectorItem
from stores.vectors.service import VectorCollection
from tests.engines import ENGINES, missing, new_database

DIMENSION = 8


@pytest.fixture(scope="module", params=["sqlite", *ENGINES])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """None for SQLite, else the address of a server."""
    if request.param == "sqlite":
        yield None
        return
    if lacking := missing(request.param):
        pytest.skip(f"{request.param} cannot be started: {lacking} is not installed (pip install cem-rag[engines])")
    with ENGINES[request.param][0](tmp_path_factory.mktemp(request.param) / "data") as address:
        yield address


@pytest.fixture
def url(server, tmp_path: Path) -> str | None:
    return None if server is None else new_database(server)


@pytest.fixture
def collection(url: str | None, tmp_path: Path) -> Iterator[VectorCollection]:
    made = VectorCollection.create(tmp_path / "vectors", url)
    yield made
    made.close()


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)


def item(number: int, **metadata: object) -> VectorItem:
    return VectorItem(f"i{number}", vector(number), metadata)


def ids(collection: VectorCollection, filters: dict, seed: int = 0) -> set[str]:
    return {hit.id for hit in collection.search(SearchRequest(vector(seed), k=100, filters=filters))}


def test_the_tables_are_those_of_the_specification(collection: VectorCollection, url: str | None) -> None:
    engine = create_engine(url or f"sqlite:///{collection.folder / 'vectors.sqlite'}")
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM items"))
        assert set(row.keys()) >= {
            "id", "file_path", "subset", "label", "source", "created_at", "seq_len", "args_dim"
        }  # fmt: skip
        if engine.dialect.name == "mysql":  # SQLAlchemy reads MySQL's own spelling of a table, not OceanBase's
            rows = connection.execute(text("SHOW INDEX FROM items")).mappings().all()
            primary = [row["Column_name"] for row in rows if row["Key_name"] == "PRIMARY"]
            indexed = {row["Column_name"] for row in rows if row["Seq_in_index"] == 1}
        else:
            primary = inspect(engine).get_pk_constraint("items")["constrained_columns"]
            indexed = {index["column_names"][0] for index in inspect(engine).get_indexes("items")}
    assert primary == ["id"]
    assert indexed >= {"subset", "label", "source"}
    engine.dispose()


def test_what_is_stored_comes_back(collection: VectorCollection) -> None:
    sequence = np.array([[4, -1, -1], [0, 3, 255], [3, -1, -1]], dtype=np.float32)
    metadata = {"subset": "0000", "label": "法兰", "source": "z", "file_path": "0000/a.h5", "n": 3, "x": [1.5, None]}
    collection.add([VectorItem("甲/1", 3 * vector(1), metadata, sequence)])
    stored = collection.get("甲/1")
    assert stored is not None
    np.testing.assert_allclose(stored.z, vector(1) / np.linalg.norm(vector(1)), atol=1e-6)
    np.testing.assert_array_equal(stored.vec, sequence)
    assert stored.metadata == metadata
    assert collection.get("甲/2") is None


def test_ids_differ_by_case_and_accent(collection: VectorCollection) -> None:
    names = ["a", "A", "á", "ａ", "a b", "a_b", "a%b", "a'b", 'a"b', "a\\b"]
    report = collection.add([VectorItem(name, vector(n)) for n, name in enumerate(names)])
    assert report == AddReport(len(names), 0)
    for name in names:
        assert collection.get(name).id == name
        assert ids(collection, {"id": name}) == {name}


def test_an_id_that_is_there_is_left_alone(collection: VectorCollection) -> None:
    assert collection.add([item(1, label="a"), item(2)]) == AddReport(2, 0)
    assert collection.add([item(1, label="b"), item(3), item(3)]) == AddReport(1, 2)
    assert collection.get("i1").metadata == {"label": "a"}


def test_an_id_that_is_replaced_is_found_as_the_new_one_alone(collection: VectorCollection) -> None:
    collection.add([item(1, label="a"), item(2, label="a")])
    assert ids(collection, {}) == {"i1", "i2"}
    assert collection.add([VectorItem("i1", vector(9), {"label": "b"})], replace=True).inserted == 1
    best = collection.search(SearchRequest(vector(9), k=5))
    assert best[0].id == "i1"
    assert best[0].sim_z == pytest.approx(1.0, abs=1e-5)
    assert len(best) == 2
    assert ids(collection, {"label": "a"}) == {"i2"}


def test_equal_content_under_another_id_is_a_duplicate_where_asked_for(collection: VectorCollection) -> None:
    twins = [VectorItem("a", vector(1)), VectorItem("b", vector(1)), VectorItem("c", vector(2))]
    assert collection.add(twins, by_content=True) == AddReport(2, 1)
    assert collection.add([VectorItem("d", vector(2))], by_content=True) == AddReport(0, 1)
    assert collection.add([VectorItem("d", vector(2))]) == AddReport(1, 0)


def test_what_is_deleted_is_found_no_more(collection: VectorCollection) -> None:
    collection.add([item(n) for n in range(10)])
    assert collection.search(SearchRequest(vector(3), k=1))[0].id == "i3"
    assert collection.delete("i3")
    assert not collection.delete("i3")
    assert "i3" not in ids(collection, {}, seed=3)
    assert collection.get("i3") is None
    assert collection.stats()["count"] == 9


def test_filters(collection: VectorCollection) -> None:
    rows = [
        VectorItem("a", vector(1), {"subset": "0000", "label": "plate"}, np.zeros((3, 4), dtype=np.float32)),
        VectorItem("b", vector(2), {"subset": "0000", "label": "flange"}, np.zeros((5, 4), dtype=np.float32)),
        VectorItem("c", vector(3), {"subset": "0001", "label": "Plate"}),
        VectorItem("d", vector(4), {"subset": "0001"}),
    ]
    collection.add(rows)
    expected = [
        ({"subset": "0000"}, "ab"),
        ({"subset": "0000", "label": ["flange", "Plate"]}, "b"),
        ({"label": ["plate", None]}, "ad"),
        ({"label": None}, "d"),
        ({"label": []}, ""),
        ({"$not": {"label": "plate"}}, "bcd"),
        ({"label": {"$ne": "plate"}}, "bcd"),
        ({"$or": [{"label": "plate"}, {"subset": "0001"}]}, "acd"),
        ({"$and": [{"subset": "0001"}, {"$not": {"label": None}}]}, "c"),
        ({"seq_len": {"$gte": 4}}, "b"),
        ({"seq_len": [3, 5], "args_dim": 3}, "ab"),
        ({"created_at": {"$gte": 1.0e9}}, "abcd"),
        ({"created_at": {"$lt": 1.0e9}}, ""),
        ({"label": "plate' OR 1=1 --"}, ""),
        ({}, "abcd"),
    ]
    for filters, wanted in expected:
        assert ids(collection, filters) == set(wanted), filters


@pytest.mark.parametrize(
    "filters",
    [
        {"colour": "red"},
        {"label": 3},
        {"label": {"$like": "a"}},
        {"seq_len": 1.5},
        {"seq_len": 2**40},
        {"seq_len": True},
        {"created_at": 5},
        {"created_at": {"$gte": 1e30}},
        {"$or": []},
        {"$and": {"a": 1}},
        {"$not": 3},
        {"label": "a\0"},
        {"label": {"$gte": ["a"]}},
        {"label": object()},
    ],
)
def test_a_filter_that_makes_no_sense_is_told(collection: VectorCollection, filters: dict) -> None:
    collection.add([item(1)])
    with pytest.raises(FilterError):
        collection.search(SearchRequest(vector(1), filters=filters))


def test_a_filter_is_asked_anew_after_a_write(collection: VectorCollection) -> None:
    collection.add([item(1, label="a")])
    assert ids(collection, {"label": "a"}) == {"i1"}
    collection.add([item(2, label="a")])
    assert ids(collection, {"label": "a"}) == {"i1", "i2"}
    collection.delete("i1")
    assert ids(collection, {"label": "a"}) == {"i2"}


def test_another_process_sees_what_was_written(collection: VectorCollection, url: str | None, tmp_path: Path) -> None:
    collection.add([item(n) for n in range(5)])
    other = VectorCollection.open(tmp_path / "vectors", url)
    assert ids(other, {}) == {f"i{n}" for n in range(5)}
    collection.add([item(7)])
    collection.delete("i0")
    assert ids(other, {}) == {"i1", "i2", "i3", "i4", "i7"}
    other.close()


def test_an_item_that_cannot_be_stored_keeps_the_whole_batch_out(collection: VectorCollection) -> None:
    for bad in (
        VectorItem("", vector(1)),
        VectorItem("x" * 256, vector(1)),
        VectorItem("a\0", vector(1)),
        VectorItem("\ud800", vector(1)),
        VectorItem("nan", np.array([np.nan] * DIMENSION, dtype=np.float32)),
        VectorItem("zero", np.zeros(DIMENSION, dtype=np.float32)),
        VectorItem("flat", np.zeros((2, 2), dtype=np.float32)),
        VectorItem("meta", vector(1), {"label": 3}),
        VectorItem("json", vector(1), {"x": float("nan")}),
        VectorItem("vec", vector(1), {}, np.zeros((0, 3), dtype=np.float32)),
    ):
        with pytest.raises(InputError):
            collection.add([item(1), bad])
    with pytest.raises(DimensionError):
        collection.add([item(1), VectorItem("short", vector(1)[:3])])
    assert collection.stats()["count"] == 0
    collection.add([item(1)])
    with pytest.raises(DimensionError):
        collection.add([VectorItem("short", vector(1)[:3])])
    with pytest.raises(DimensionError):
        collection.search(SearchRequest(vector(1)[:3]))


def test_writers_side_by_side_lose_nothing(collection: VectorCollection, url: str | None, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def write(first: int) -> None:
        mine = VectorCollection.open(tmp_path / "vectors", url)
        try:
            for number in range(first, first + 20):
                mine.add([item(number), item(1_000)])
        except BaseException as error:
            errors.append(error)
        finally:
            mine._catalog.database.close()

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    wanted = {f"i{100 * n + m}" for n in range(1, 5) for m in range(20)} | {"i1000"}
    assert ids(collection, {}) == wanted
    assert collection.stats()["count"] == 81


def test_a_collection_is_made_once(collection: VectorCollection, url: str | None, tmp_path: Path) -> None:
    with pytest.raises(MemoryExistsError):
        VectorCollection.create(tmp_path / "vectors", url)
    if url is not None:
        with pytest.raises(MemoryExistsError):
            VectorCollection.create(tmp_path / "elsewhere", url)
    with pytest.raises(MemoryMissingError):
        VectorCollection.open(tmp_path / "nowhere", url)
