"""The driver's own cursor, for what runs a million times: SQLAlchemy's part of it would cost more than SQLite's."""

from __future__ import annotations

import sqlite3
from typing import cast

from sqlalchemy import Connection


def raw_cursor(connection: Connection) -> sqlite3.Cursor:
    """A new cursor in the caller's transaction; ``Database`` names the errors of both alike."""
    return cast("sqlite3.Cursor", connection.connection.cursor())
