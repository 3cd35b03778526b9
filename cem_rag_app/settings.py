"""Every knob, in one class. Nothing is read at import: the composition root builds ``Settings()``.

Values come, in this order, from keyword arguments, the environment (``CEM_RAG_`` prefix, ``__`` between
levels, e.g. ``CEM_RAG_CHAT__MODEL=gemini``), then ``.env`` in the working directory, then the defaults here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

IndexKind = Literal["auto", "flat", "codes", "hnsw", "ivf", "ivfpq", "rabitq"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackSettings(_Section):
    """How text becomes frames (zpkg)."""

    level: int = Field(default=19, ge=1, le=22, description="zstd compression level.")
    dictionary_size: int = Field(
        default=262_144,
        ge=4096,
        le=1_048_576,
        description="Bytes of a memory's own trained dictionary at most; a small memory takes a smaller one.",
    )
    own_dictionary_from: int = Field(
        default=150,
        ge=1,
        description="Chunks a memory must hold before it trains a dictionary of its own; below, a shipped one is used.",
    )
    chunk_limit: int = Field(
        default=1_048_576, ge=1024, description="Bytes one chunk may expand to; a frame that claims more is refused."
    )
    chunk_target: int = Field(
        default=440, ge=100, le=8192, description="Bytes of text a document chunk aims for when a document is split."
    )


class CodeSettings(_Section):
    """How a memory keeps its vectors when it keeps codes (docs/index.md)."""

    bytes: int = Field(
        default=96,
        ge=16,
        le=4096,
        description="Bytes a vector takes. With fewer, more candidates must be refined; with more, the memory grows.",
    )
    refine: int = Field(
        default=-1,
        ge=-1,
        le=1000,
        description="Best candidates whose vectors every search makes again from their frames; -1 chooses by the "
        "encoder: 24 for a bag of n-grams, else 16. More bytes and 0 here search quicker.",
    )


class RecallSettings(_Section):
    """How hits are scored (blueprint section 5.2)."""

    semantic_weight: float = Field(default=0.72, ge=0, le=1, description="Weight of the vector similarity.")
    lexical_weight: float = Field(default=0.18, ge=0, le=1, description="Weight of the full-text score.")
    recency_weight: float = Field(default=0.10, ge=0, le=1, description="Weight of recency.")
    recency_half_life_days: float = Field(default=90.0, gt=0, description="Days after which a memory's recency halves.")
    document_semantic_weight: float = Field(
        default=0.6, ge=0, le=1, description="Weight of the vector similarity in a memory of documents."
    )
    document_lexical_weight: float = Field(
        default=0.4, ge=0, le=1, description="Weight of the full-text score in a memory of documents."
    )
    candidates: int = Field(default=64, ge=1, le=10_000, description="Candidates taken from each of vectors and text.")
    k: int = Field(default=8, ge=1, le=200, description="Hits that are opened.")


class SegmentSettings(_Section):
    """The window around an anchor (blueprint section 3.2)."""

    before: int = Field(default=6, ge=0, le=50, description="Messages before the anchor.")
    after: int = Field(default=8, ge=0, le=50, description="Messages after the anchor.")
    max_lines: int = Field(default=18, ge=1, le=100, description="Lines of a segment at most.")


class ChatSettings(_Section):
    """Which model speaks, and within which bounds."""

    model: str = Field(
        default="offline",
        description="`offline`, `gemini`, `local:PATH` (a transformers folder) "
        "or any `init_chat_model` string such as `openai:gpt-5`.",
    )
    planner_model: str = Field(default="gemini-3.1-pro-preview", description="Gemini model that plans and criticises.")
    generator_model: str = Field(default="gemini-3.8-flash", description="Gemini model that writes candidates.")
    candidates: int = Field(default=4, ge=1, le=16, description="Candidates a turn at most.")
    timeout_seconds: float = Field(default=60.0, gt=0, description="Seconds one model call may take.")
    history_turns: int = Field(default=12, ge=0, le=100, description="Recent messages a model is shown.")


class RuleSettings(_Section):
    """The owner's hard rules, taken when a persona is created and immutable from then on (I8)."""

    allowed_pet_names: tuple[str, ...] = Field(default=("宝贝",), description="The only pet names allowed.")
    max_bubbles: int = Field(default=4, ge=1, le=10, description="Bubbles a reply at most.")
    max_bubble_characters: int = Field(default=40, ge=8, le=500, description="Characters a bubble at most.")


class ServerSettings(_Section):
    """Where the web faces listen."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; the default is this machine alone.")
    port: int = Field(default=8501, ge=1, le=65535, description="Port of the page and the API.")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Bytes one HTTP request may carry.")
    api_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Key that every data route of the API asks for (`Authorization: Bearer KEY` or `X-API-Key: KEY`); "
        "none leaves the API open to whoever reaches its address.",
    )


class VectorSettings(_Section):
    """The vector service: which collection the API serves, and within which bounds."""

    folder: Path | None = Field(default=None, description="Folder of the collection; none serves no vectors.")
    catalog_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the collection's catalog; none is SQLite in the folder."
    )
    max_items: int = Field(default=10_000, ge=1, description="Vectors one `POST /vectors` may bring.")
    max_body_bytes: int = Field(default=67_108_864, ge=1024, description="Bytes one `POST /vectors` may carry.")
    cache_entries: int = Field(
        default=1_024, ge=0, description="Answers of popular searches that are kept; 0 keeps none."
    )
    batch: int = Field(default=64, ge=1, le=1_024, description="Searches in flight that are answered together at most.")


class Settings(BaseSettings):
    """All settings. See the module docstring for where values come from."""

    model_config = SettingsConfigDict(
        env_prefix="CEM_RAG_", env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    memory: Path = Field(default=Path("memory"), description="Folder of the memory.")
    encoder: str = Field(
        default="auto",
        description="`auto` (by language), `embedded-zh`, `minilm-en`, `gemini` "
        "or `sentence-transformers:PATH_OR_NAME`.",
    )
    index: IndexKind = Field(default="auto", description="Kind of vector index; `auto` goes by size.")
    device: str = Field(default="cpu", description="Torch device of models that need torch.")
    google_api_key: SecretStr | None = Field(default=None, description="Key for Gemini; never logged.")
    google_base_url: str | None = Field(default=None, description="Another address for the Gemini API.")
    pack: PackSettings = PackSettings()
    codes: CodeSettings = CodeSettings()
    recall: RecallSettings = RecallSettings()
    segment: SegmentSettings = SegmentSettings()
    chat: ChatSettings = ChatSettings()
    rules: RuleSettings = RuleSettings()
    server: ServerSettings = ServerSettings()
    vectors: VectorSettings = VectorSettings()
