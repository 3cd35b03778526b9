"""A catalog of every older schema opens, and holds what it held."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem_rag_app.schema import Query
from stores.catalog import database, migrations
from stores.memory import Memory
from tests.unit.stores.conftest import MakeMemory, history


def test_a_memory_of_the_first_schema_opens_and_is_brought_up_to_date(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(5))
    memory.build()
    with memory.database.write() as connection:  # what the second migration added, taken away again
        connection.exec_driver_sql("DROP TABLE lexical_terms")
        connection.exec_driver_sql("PRAGMA user_version = 1")
    memory.close()
    again: Memory = make_memory()
    assert again.status()["schema_version"] == migrations.SCHEMA_VERSION
    assert again.recall(Query("第3天吃什么", k=1))[0].text == "第3天吃什么"
    assert again.check().findings == ()


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
