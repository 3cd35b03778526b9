"""The catalog of a new memory, with what is chosen once, and that of one that is there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cem_rag_app.errors import MemoryExistsError
from cem_rag_app.files import sync_folder
from stores.catalog import notes
from stores.catalog.database import FILE_NAME, Database
from stores.catalog.migrations import migrate
from stores.files import writer_lock
from stores.frames import add_dictionary
from stores.live_index import GENERATION
from stores.packing import TRAINED_AT
from stores.profile import MemoryProfile, start_dictionary

PROFILE = "profile"


def create_catalog(path: Path, profile: MemoryProfile) -> Database:
    """Make the folders and the catalog of a memory.

    Raises:
        MemoryExistsError: the folder already holds a memory.
        DictionaryError: no general dictionary of the language is shipped.
        DiskFullError: no space is left.
    """
    start = start_dictionary(profile.language)
    for folder in (path, path / "packs", path / "index"):
        folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(path):
        database = Database(path / FILE_NAME)
        try:
            with database.write() as connection:
                if not migrate(connection, database.path):
                    raise MemoryExistsError(
                        f"{path} already holds a memory.", remedy="Open it, or choose another folder."
                    )
                stored = {k: v for k, v in asdict(profile).items() if k != "persona"}
                notes.set_value(connection, PROFILE, stored)
                notes.set_value(connection, GENERATION, 0)
                notes.set_value(connection, TRAINED_AT, 0)
                notes.store_rules(connection, profile.persona)
                add_dictionary(connection, start, current=True)
            sync_folder(path)
            sync_folder(path.absolute().parent)
        except BaseException:
            database.close()
            raise
    return database


def open_catalog(path: Path) -> tuple[Database, MemoryProfile]:
    """The catalog of a memory, and what was chosen when it was made.

    Raises:
        MemoryMissingError: there is none in the folder.
        MemoryVersionError: a newer release made it.
        MemoryCorruptError: its catalog is damaged.
    """
    database = Database.open(path / FILE_NAME)
    with database.read() as connection:
        stored = notes.get_value(connection, PROFILE)
        rules = notes.load_rules(connection)
    return database, MemoryProfile(**stored, persona=rules)
