"""A memory of every older schema opens, and holds what it held."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cem_rag_app.schema import Message, Query
from cem_rag_app.settings import Settings
from stores.catalog import database, migrations
from stores.documents import read_items
from stores.memory import Memory
from tests.fakes.encoders import fake_encoders
from tests.unit.stores.conftest import MakeMemory, history, said

KEPT = Path(__file__).parents[2] / "golden" / "memories"
VERSIONS = ["v1", "v2"]


@pytest.fixture(params=VERSIONS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Memory, dict[str, Any]]:
    """A memory that an older release made, opened by this one, and what it held when it was made."""
    shutil.copytree(KEPT / request.param, tmp_path / "kept")
    (tmp_path / "kept" / "index").mkdir()
    expected = json.loads((tmp_path / "kept" / "expected.json").read_text())
    (tmp_path / "kept" / "expected.json").unlink()
    memory = Memory.open(tmp_path / "kept", encoders=fake_encoders, settings=Settings(pack={"level": 3}))
    request.addfinalizer(memory.close)
    return memory, expected


def everything(memory: Memory) -> dict[str, Any]:
    """What ``expected.json`` keeps of a memory."""
    return {
        "messages": {
            name: [asdict(message) for message in memory.recent(1000, conversation=name)]
            for name in ("default", "work")
        },
        "items": [
            asdict(item)
            for item in read_items(memory.database, memory.frames, [f"d{n}" for n in range(20)], limit=1 << 20)
        ],
        "marks": memory.marks(),
        "records": {f"{1:032x}": memory.record(f"{1:032x}")},
        "state": {"style": memory.get_state("style")},
        "counts": memory.status()["counts"],
    }


def test_a_memory_of_an_older_release_holds_what_it_held(kept: tuple[Memory, dict[str, Any]]) -> None:
    memory, expected = kept
    assert everything(memory) == expected
    assert memory.status()["schema_version"] == migrations.SCHEMA_VERSION
    memory.build()
    assert memory.check().findings == ()
    assert everything(memory)["messages"] == expected["messages"]
    assert memory.recall(Query("第3天吃什么", k=1))[0].text == "第3天吃什么"
    assert memory.recall(Query("Another text altogether", k=1, filters={"year": 2000}))[0].item_id == "d3"


def test_a_memory_of_an_older_release_knows_what_it_imported_and_remembered(
    kept: tuple[Memory, dict[str, Any]],
) -> None:
    memory, expected = kept
    again = [Message(**line) for line in expected["messages"]["default"] + expected["messages"]["work"]]
    imported = [message for message in again if message.source in ("history", "letters")]
    assert memory.import_messages(imported).added == 0
    said_before = next(message for message in again if message.source == "chat")
    turn_id, position = said_before.source_id.split(":")
    assert memory.remember(said_before, turn_id=turn_id, position=int(position)) == said_before
    new = memory.remember(said("user", "新的一句", 9e6), turn_id="b", position=0)
    assert new.message_id > max(message.message_id for message in again)


def test_a_migrated_catalog_has_the_shape_of_a_new_one(
    kept: tuple[Memory, dict[str, Any]], make_memory: MakeMemory
) -> None:
    shapes = []
    for memory in (kept[0], make_memory(folder="new")):
        with memory.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 2")
            shapes.append([tuple(row) for row in rows])
    assert shapes[0] == shapes[1]


def test_a_migration_that_fails_changes_nothing(make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = make_memory()
    memory.import_messages(history(2))
    memory.close()
    broken = (*migrations.MIGRATIONS, ("CREATE TABLE half_done (x)", "THIS IS NO SQL"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", broken)
        patch.setattr(migrations, "SCHEMA_VERSION", len(broken))
        patch.setattr(database, "SCHEMA_VERSION", len(broken))
        with pytest.raises(Exception, match="THIS"):
            make_memory()
    again = make_memory()
    assert again.status()["schema_version"] == len(migrations.MIGRATIONS)
    with again.database.read() as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE name = 'half_done'").all()
    assert tables == []
    assert len(again.recent(10)) == 6


def test_every_migration_is_numbered_in_order(tmp_path: Path) -> None:
    assert len(migrations.MIGRATIONS) == migrations.SCHEMA_VERSION
    made = database.Database(tmp_path / "catalog.sqlite")
    with made.write() as connection:
        assert migrations.migrate(connection, made.path) is True
        assert migrations.schema_version(connection) == migrations.SCHEMA_VERSION
        assert migrations.migrate(connection, made.path) is False
    made.close()
