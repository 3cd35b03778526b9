"""What travels over HTTP between the vector service and its clients; see docs/http-api.md for examples."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator, with_config
from typing_extensions import TypedDict

from ui.wire import Body, Whole

MAX_DIMENSION = 4_096
MAX_ROWS = 4_096
"""Rows of a macro sequence."""
MAX_COLUMNS = 64
"""A command and its arguments."""
MAX_CELLS = 2**24
"""Numbers of all macro sequences of one addition, short rows filled up."""
MAX_K = 1_000
MAX_WORK = 2**20
"""Rows of a searched macro sequence times its columns (four at least) times the candidates it is warped against."""
MAX_METADATA_BYTES = 32_768
MAX_VALUES = 1_000
"""Values that a filter may name for one key."""

# Squares of larger numbers would not be sure to fit float32.
Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False, strict=True)]
Z = Annotated[list[Number], Field(min_length=1, max_length=MAX_DIMENSION)]
Vec = Annotated[
    list[Annotated[list[Number], Field(min_length=1, max_length=MAX_COLUMNS)]],
    Field(min_length=1, max_length=MAX_ROWS),
]
# What every catalog stores: no NUL, no space at the end.
_STORABLE = r"^([^\x00]*[^\x00 ])?$"
VectorId = Annotated[str, Field(min_length=1, max_length=255, pattern=_STORABLE)]
Name = Annotated[str, Field(max_length=255, pattern=_STORABLE)]
Text = Annotated[str, Field(max_length=1_024, pattern=r"^[^\x00]*$")]
Size = Annotated[Whole, Field(ge=-(2**31) + 1, le=2**31 - 1)]
Moment = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False, strict=True)]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Metric = Annotated[Literal["cosine", "l2"], BeforeValidator(_lower)]


class Metadata(Body):
    """What is known about a vector; names beside these are kept as they are, and come back with every answer."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    file_path: Annotated[str, Field(max_length=1_024, pattern=_STORABLE)] | None = None
    subset: Name | None = None
    label: Name | None = None
    source: Name | None = None

    @model_validator(mode="after")
    def _is_json(self) -> Metadata:
        try:
            size = len(json.dumps(self.__pydantic_extra__, allow_nan=False, ensure_ascii=False).encode())
        except ValueError as error:  # half of a character, too
            raise ValueError(f"cannot be kept as JSON ({error})") from error
        if size > MAX_METADATA_BYTES:
            raise ValueError(f"has {size} bytes; {MAX_METADATA_BYTES} is the most")
        return self


class Item(Body):
    """One vector to store."""

    id: VectorId = Field(description="Unique in the collection.")
    z: Z = Field(description="The latent vector; every one of a collection has the same length.")
    metadata: Metadata = Metadata()
    vec: Vec | None = Field(
        default=None, description="The macro sequence: a command and its arguments a row, -1 where unused or left out."
    )


class AddRequest(Body):
    """Vectors to store, all or none."""

    items: list[Item] = Field(min_length=1, description="The setting `vectors.max_items` bounds how many.")
    replace: bool = Field(default=False, strict=True, description="Put these in the place of what has the same id.")


class Added(BaseModel):
    """What an addition did; when this arrives, it is on disk."""

    inserted: int
    duplicates: int = Field(description="Items whose id was there already; they are as they were.")


def _range(name: str, kind: Any) -> Any:
    bounds = TypedDict(name, dict.fromkeys(("$gte", "$gt", "$lte", "$lt", "$ne"), kind), total=False)  # type: ignore[misc]
    return Annotated[with_config(ConfigDict(extra="forbid"))(bounds), Field(json_schema_extra={"minProperties": 1})]


def _one_or_more(kind: Any) -> Any:
    return kind | None | Annotated[list[kind | None], Field(max_length=MAX_VALUES)]


_text = _one_or_more(Text) | _range("TextRange", Text)
_size = _one_or_more(Size) | _range("SizeRange", Size)

Filters = with_config(ConfigDict(extra="forbid"))(
    TypedDict(
        "Filters",
        {
            **dict.fromkeys(("id", "file_path", "subset", "label", "source"), _text),
            **dict.fromkeys(("seq_len", "args_dim"), _size),
            "created_at": _range("MomentRange", Moment),
            "$and": Annotated[list["Filters"], Field(min_length=1, max_length=MAX_VALUES)],
            "$or": Annotated[list["Filters"], Field(min_length=1, max_length=MAX_VALUES)],
            "$not": "Filters",
        },
        total=False,
    )
)
"""What may be found; every entry must hold. A value, a list of values (one of them), null (has none) or bounds."""


class Fusion(Body):
    """How the similarity of `z` and that of `vec` become one score."""

    method: Literal["weighted", "rrf", "borda"] = Field(
        default="weighted", description="Weighted sum of both, each scaled to [0, 1]; or a fusion of their ranks."
    )
    alpha: float = Field(default=0.6, ge=0, le=1, strict=True, description="Weight of the similarity of `z`.")
    beta: float = Field(default=0.4, ge=0, le=1, strict=True, description="Weight of the similarity of `vec`.")
    k0: Whole = Field(default=60, ge=1, le=10_000, description="Added to every rank; of `rrf` alone.")


class SearchBody(Body):
    """One question."""

    vector: Z
    k: Whole = Field(default=20, ge=1, le=MAX_K, description="Results wanted.")
    metric: Metric = Field(default="cosine", description="`l2` may be asked of every collection, `cosine` of its own.")
    filters: Filters = Field(default={}, description="Applied before the search; see docs/http-api.md.")
    stage_n: Whole = Field(default=100, ge=1, le=MAX_K, alias="stageN", description="Candidates of the second stage.")
    fusion: Fusion = Fusion()
    vec: Vec | None = Field(default=None, description="The macro sequence; with it, there is a second stage.")
    second_stage: Literal["aligned", "dtw", "edit"] = Field(
        default="dtw", alias="secondStage", description="How macro sequences are compared."
    )

    @model_validator(mode="after")
    def _is_bounded(self) -> SearchBody:
        if self.vec is not None and self.second_stage != "aligned":
            work = len(self.vec) * max(4, *map(len, self.vec)) * self.stage_n
            if work > MAX_WORK:
                raise ValueError(
                    f"vec has too many rows for so many candidates: rows x columns x stageN is {work}, and {MAX_WORK} "
                    'is the most. Send a smaller stageN or a shorter vec, or ask with "secondStage": "aligned".'
                )
        return self


class Found(BaseModel):
    """One answer."""

    id: str
    score: float = Field(description="What results are ordered by.")
    sim_z: float = Field(description="Similarity of the latent vectors.")
    sim_orig: float | None = Field(description="Similarity of the macro sequences; null without a second stage.")
    metadata: dict[str, Any]


class SearchResults(BaseModel):
    """The nearest items, best first."""

    results: list[Found]


class Stored(BaseModel):
    """One item as it is stored."""

    id: str
    z: list[float] = Field(description="Of unit length in a collection of metric cosine.")
    metadata: dict[str, Any]
    vec: list[list[float]] | None


class Deleted(BaseModel):
    """The item that is gone."""

    id: str
    deleted: Literal[True] = True


class Latency(BaseModel):
    """Time to answer a search, waiting included, over the latest ones."""

    searches: int = Field(description="How many were looked at.")
    p50_ms: float
    p95_ms: float
    p99_ms: float


class CacheStats(BaseModel):
    """The cache of popular searches."""

    entries: int
    hits: int
    misses: int


class VectorStats(BaseModel):
    """What the collection holds, and how quickly it is searched."""

    collection: dict[str, Any] = Field(description="Count, dimension, metric, kind and size of the index.")
    latency: Latency
    cache: CacheStats
