"""What a checkpoint's ``config.json`` says: a part that all views share, and one section for the view."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cem_rag_app.cem.features import CountWeight, FeatureKind
from cem_rag_app.cem.frame.shape import FrameShape

View = Literal["symbols", "frame", "ngram"]
"""How a student looks at a frame (docs/cem.md)."""

Format = Literal["cem-symbols", "cem-frame", "cem-ngram"]


class CompressionRecord(BaseModel):
    """The frames a student was trained on. Which others it reads is the view's business."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zstd_version: str
    level: int
    magicless: bool = True
    dictionaries: tuple[str, ...] = ()
    """SHA-256 of the dictionaries it saw."""


class FeatureRecord(BaseModel):
    """`FeatureConfig` as it is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FeatureKind
    edges: bool
    pairs: bool
    buckets: int = Field(ge=0, le=1 << 20)
    pair_buckets: int = Field(default=0, ge=0, le=1 << 20)
    count_weight: CountWeight


class SymbolsRecord(BaseModel):
    """Shape of a transformer over patches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buckets: int = Field(ge=1, le=1 << 20)
    joined: int = Field(ge=0, le=1 << 20)
    """The first rows of the table, the commonest words, which join the next word's patch."""
    # The bounds keep a forged configuration from asking for more than a few hundred megabytes.
    width: int = Field(ge=8, le=1024)
    layers: int = Field(ge=1, le=12)
    heads: int = Field(ge=1, le=64)
    hidden: int = Field(ge=8, le=4096)


class CheckpointConfig(BaseModel):
    """What ``config.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    format_version: int = 1
    name: str
    teacher: str
    dimension: int = Field(ge=1, le=65536)
    features: FeatureRecord | None = None
    """Of ``cem-ngram``."""
    symbols: SymbolsRecord | None = None
    """Of ``cem-symbols``."""
    frame: FrameShape | None = None
    """Of ``cem-frame``."""
    compression: CompressionRecord
    weights: Literal["file", "teacher"] = "file"
    """``teacher``: the table is the embedded Chinese encoder's own, and there is no ``model.safetensors``."""
    weights_sha256: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """How it was trained: command, data, seeds, scores. Read by people alone."""

    @property
    def view(self) -> View:
        """How the student looks at a frame."""
        views: dict[str, View] = {"cem-symbols": "symbols", "cem-frame": "frame", "cem-ngram": "ngram"}
        return views[self.format]
