"""The composition root: the one place where a memory, its encoders, a voice and the faces are wired together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cem_rag_app.errors import MemoryMissingError, SettingsError
from cem_rag_app.schema import Query

if TYPE_CHECKING:
    from cem_rag_app.cem.pair import Encoders
    from cem_rag_app.cem.teachers.base import TextEncoder
    from cem_rag_app.settings import Settings
    from graphs.persona.chat import PersonaChat
    from graphs.qa.ask import Answer
    from stores.memory import Memory
    from stores.vectors.service import VectorCollection


class Services:
    """What a face needs, opened when it is first asked for and once only; safe to share between threads.

    Args:
        settings: Every knob.
        open_memory: Opens the memory.
        make_chat: Makes the persona's chat out of it.
        open_vectors: Opens the vector collection.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        open_memory: Callable[[], Memory],
        make_chat: Callable[[Memory], PersonaChat],
        open_vectors: Callable[[], VectorCollection],
    ) -> None:
        self.settings = settings
        self._open_memory = open_memory
        self._make_chat = make_chat
        self._open_vectors = open_vectors
        self._lock = threading.RLock()
        self._vectors_lock = threading.Lock()  # of its own: a search of vectors does not wait for a memory to open
        self._memory: Memory | None = None
        self._chat: PersonaChat | None = None
        self._learned_at = 0
        self._vectors: VectorCollection | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Services:
        """Wire the real parts. Nothing is opened yet."""
        return cls(
            settings,
            open_memory=lambda: open_memory(settings),
            make_chat=lambda memory: make_chat(memory, settings),
            open_vectors=lambda: open_vectors(settings),
        )

    @property
    def memory(self) -> Memory:
        """The open memory.

        Raises:
            MemoryMissingError: There is none in the folder.
        """
        with self._lock:
            if self._memory is None:
                self._memory = self._open_memory()
            return self._memory

    @property
    def chat(self) -> PersonaChat:
        """The persona's chat, in the voice that the settings name."""
        with self._lock:
            forgotten = self.memory.forgotten
            if self._chat is None or self._learned_at != forgotten:
                # A voice learns from the history: after a forgetting it learns again, without what is gone.
                self._chat, self._learned_at = self._make_chat(self.memory), forgotten
            return self._chat

    @property
    def vectors(self) -> VectorCollection:
        """The open vector collection.

        Raises:
            SettingsError: None is served.
        """
        with self._vectors_lock:
            if self._vectors is None:
                self._vectors = self._open_vectors()
            return self._vectors

    def ask(self, question: str) -> Answer:
        """Answer a question from the documents of the memory, citing chunks."""
        from graphs.qa.ask import ask

        return ask(self.memory, question, self.settings)

    def warm(self) -> None:
        """Open everything a first request needs, so that it does not wait: vectors, memory, voice, encoders, index."""
        if self.settings.vectors.folder is not None:
            self.vectors.stats()
        if self.memory.rules is not None:
            from graphs.persona.build import build_persona_graph

            build_persona_graph().compile()  # imports the graph's machinery
            _ = self.chat
        self.memory.recall(Query(text="你好", k=1))

    def close(self) -> None:
        """Close what was opened."""
        with self._vectors_lock:
            if self._vectors is not None:
                self._vectors.close()
            self._vectors = None
        with self._lock:
            if self._memory is not None:
                self._memory.close()
            self._memory = self._chat = None


def text_encoder(settings: Settings, name: str) -> TextEncoder:
    """Return the text encoder of that name, with the key and the device that the settings hold."""
    from cem_rag_app.cem.teachers.registry import load_teacher

    return load_teacher(name, device=settings.device, api_key=_key(settings), base_url=settings.google_base_url)


def encoder_pair(settings: Settings, name: str) -> Encoders:
    """Return a text encoder for questions and the compressed encoder that lives in its space, for chunks.

    The compressed encoder is the memory's own (``model/`` in its folder) where there is one, else the shipped one.

    Raises:
        CheckpointError: None ships for it and the memory has none.
    """
    from cem_rag_app.cem.encoders import load_encoders

    own = settings.memory / "model"
    return load_encoders(
        name,
        checkpoint=own if (own / "config.json").exists() else None,
        device=settings.device,
        api_key=_key(settings),
        base_url=settings.google_base_url,
    )


def open_memory(settings: Settings) -> Memory:
    """Open the memory in ``settings.memory``."""
    from stores.memory import Memory

    return Memory.open(settings.memory, encoders=lambda name: encoder_pair(settings, name), settings=settings)


def open_vectors(settings: Settings) -> VectorCollection:
    """Open the collection in ``settings.vectors.folder``, else that of its database; an empty one where there is none.

    Raises:
        SettingsError: The setting names no folder.
    """
    from stores.vectors.service import VectorCollection

    folder, url = settings.vectors.folder, settings.vectors.catalog_url
    if folder is None:
        raise SettingsError(
            "No vector collection is served.",
            remedy="Start with `cem-rag serve --vectors DIR`, or set CEM_RAG_VECTORS__FOLDER.",
        )
    return VectorCollection.open_or_create(folder, None if url is None else url.get_secret_value())


def memory_exists(settings: Settings) -> bool:
    """Whether ``settings.memory`` holds a memory; one whose making was cut short, with nothing in it, is none.

    Raises:
        StoreError: There is one that cannot be opened.
    """
    if not (settings.memory / "catalog.sqlite").exists():
        return False  # without the weight of opening one
    try:
        open_memory(settings).close()
    except MemoryMissingError:
        return False
    return True


def make_chat(memory: Memory, settings: Settings) -> PersonaChat:
    """Give the persona the voice that ``settings.chat.model`` names."""
    from graphs.persona.chat import PersonaChat
    from graphs.persona.voices import voice_for

    return PersonaChat(memory, voice_for(memory, settings), settings)


def _key(settings: Settings) -> str | None:
    return settings.google_api_key.get_secret_value() if settings.google_api_key else None
