"""What a training run depends on: one frozen object, saved beside the checkpoint it made.

What all views share stands in `TrainingConfig`, each view's own numbers in a section of its name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cem_rag_app.cem.features import CountWeight
from cem_rag_app.cem.records import View
from cem_rag_app.errors import SettingsError

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Precision = Literal["auto", "float32", "bfloat16"]
DictionaryKind = Literal["general", "own"]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class LossConfig:
    """How much each part of the loss counts (`losses`).

    Attributes:
        alpha: distillation.
        beta: InfoNCE, the student's vector against its teacher's among those of the batch.
        gamma: triplet with the hardest wrong teacher vector of the batch.
        delta: squared difference of the two similarity matrices.
        margin: of the triplet loss, in cosine.
        distance: of the distillation: ``1 - cosine``, or the squared distance.
        temperature: InfoNCE's first one; it is learned.
    """

    alpha: Weight = 1.0
    beta: Weight = 0.1
    gamma: Weight = 0.0
    delta: Weight = 0.0
    margin: float = 0.2
    distance: Literal["cosine", "mse"] = "cosine"
    temperature: Annotated[float, Field(gt=0.0)] = 0.05

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move (AdamW).

    Attributes:
        learning_rate: its peak.
        warm_up: share of the steps over which it rises from 0; afterwards it falls as half a cosine.
        floor: what it falls to, as a share of the peak.
        weight_decay: of matrices; vectors and single numbers are not decayed.
        clip: largest length of the gradient; 0 for no limit.
        beta1: decay of the mean of gradients.
        beta2: decay of the mean of their squares.
    """

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    warm_up: Share = 0.05
    floor: Share = 0.001
    weight_decay: Weight = 0.0
    clip: Weight = 0.0
    beta1: Share = 0.9
    beta2: Share = 0.999

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class NgramConfig:
    """Numbers of the bag of n-grams.

    Attributes:
        words: vocabulary of words (English).
        word_pairs: vocabulary of word pairs (English).
        buckets: rows for the letter n-grams of unknown words (English).
        grams: vocabulary of character n-grams (Chinese).
        count_weight: how repeats count.
        edges: whether features cross the borders of spans.
        rank: width of a feature's vector; at most the teacher's dimension is used.
        hidden: width of the correction network; 0 for none.
        feature_dropout: share of features hidden from a training step.
        table_rate: learning rate of the features' vectors, as a share of the others'. Adam moves a row that was seen
            five times as far as one seen often, and rare words are better left near where the teacher put them.
    """

    words: Count = 32_000
    word_pairs: Count = 5_000
    buckets: Count = 4_096
    grams: Count = 36_000
    count_weight: CountWeight = "log"
    edges: bool = True
    rank: Positive = 256
    hidden: Count = 512
    feature_dropout: Share = 0.1
    table_rate: Share = 0.3

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class SymbolsConfig:
    """Numbers of the transformer over patches.

    Attributes:
        words: vocabulary.
        buckets: rows for the letter n-grams of unknown words.
        joined: how many of the commonest words join the next word's patch.
        width: of a patch's vector.
        layers: of the transformer.
        heads: of its attention.
        hidden: inside its feed-forward parts.
        word_dropout: share of words hidden from a training step.
        table_rate: learning rate of the words' vectors, as a share of the others'; see `NgramConfig`.
    """

    words: Positive = 48_000
    buckets: Positive = 8_192
    joined: Count = 128
    width: Positive = 256
    layers: Positive = 2
    heads: Positive = 4
    hidden: Positive = 512
    word_dropout: Share = 0.1
    table_rate: Share = 0.5

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class FrameConfig:
    """Numbers of the model over raw frame bytes; its sizes are explained in `FrameShape`.

    Attributes:
        patch: bytes of a patch.
        block: patches that the local encoder reads at a time.
        context: bytes before a block that it sees too.
        piece: bytes that the global transformer sees at a time.
        groups: lengths of the hashed byte n-grams.
        buckets: rows of the table for each length.
        local_width: of the local encoder.
        local_layers: of the local encoder.
        local_heads: of the local encoder.
        local_hidden: inside its feed-forward parts.
        spread: queries of a patch; times ``local_width``, the width of the global transformer.
        layers: of the global transformer.
        heads: of the global transformer.
        hidden: inside its feed-forward parts.
        table_rate: learning rate of the n-grams' vectors, as a share of the others'; 0 leaves them as they were warmed
            up, and makes a step a third cheaper.
        warm_epochs: passes in which the embeddings learn alone, as a bag; 0 for none.
        warm_batch: passages a step of these.
        warm_rate: peak of the learning rate in these.
    """

    patch: Positive = 6
    block: Positive = 8
    context: Count = 8
    piece: Positive = 4096
    groups: Annotated[tuple[Positive, ...], Field(min_length=1)] = (3, 4, 5)
    buckets: Positive = 16_381
    local_width: Positive = 96
    local_layers: Positive = 1
    local_heads: Positive = 2
    local_hidden: Positive = 128
    spread: Positive = 2
    layers: Positive = 2
    heads: Positive = 4
    hidden: Positive = 384
    table_rate: Share = 0.3
    warm_epochs: Count = 2
    warm_batch: Annotated[int, Field(ge=2)] = 256
    warm_rate: Annotated[float, Field(gt=0.0)] = 3e-3

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a training run depends on; saved beside the checkpoint.

    Attributes:
        teacher: name of the text encoder to learn from.
        texts: file with a passage a line (``.txt`` or ``.txt.gz``).
        output: folder of the checkpoint.
        name: of the checkpoint.
        view: how the student looks at a frame.
        vectors: ``.npy`` with the teacher's vectors of the first lines of ``texts``; None: the teacher is asked.
        pairs: TSV of ``kind, query, passage``; held out, chooses the best epoch by nDCG@10. None: by cosine.
        pair_kinds: which kinds of pairs choose; none named: all.
        cache: folder in which the teacher's answers are kept; None: ``teacher-cache`` in ``output``.
        language: of the texts; says which features are read, and which general dictionary is used.
        limit: lines of ``texts`` that are read; 0 for all.
        level: zstd level of the training frames.
        dictionaries: what the training frames are compressed with, a share each: the language's general dictionary,
            one trained on the texts. Held-out frames are compressed with the first.
        held_out: last passages, kept for measuring.
        held_out_pairs: pairs used for choosing an epoch.
        epochs: passes over the data.
        batch_size: passages a step, which are also one another's negatives.
        accumulate: parts that a step is computed in, one after the other, to save memory (`loop`).
        precision: of the network's arithmetic; ``auto`` is bfloat16 where the device multiplies it faster.
        device: ``auto`` takes a GPU where there is one.
        state_every: steps between two saved states, beside those at the end of an epoch.
        log_every: steps between two lines of ``metrics.jsonl``.
        seed: of everything random.
        loss: its parts.
        optimizer: its numbers.
        ngram: numbers of that view.
        symbols: numbers of that view.
        frame: numbers of that view.
    """

    teacher: str
    texts: Path
    output: Path
    name: str = "cem"
    view: View = "ngram"
    vectors: Path | None = None
    pairs: Path | None = None
    pair_kinds: tuple[str, ...] = ()
    cache: Path | None = None
    language: Literal["zh", "en"] = "en"
    limit: Count = 0
    level: Annotated[int, Field(ge=-100, le=22)] = 19
    dictionaries: Annotated[tuple[DictionaryKind, ...], Field(min_length=1)] = ("general", "own")
    held_out: Positive = 2_000
    held_out_pairs: Count = 1_500
    epochs: Positive = 8
    batch_size: Annotated[int, Field(ge=2)] = 1024
    accumulate: Positive = 1
    precision: Precision = "auto"
    device: Literal["auto", "cpu"] = "auto"
    state_every: Positive = 100
    log_every: Positive = 10
    seed: Count = 0
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    ngram: NgramConfig = field(default_factory=NgramConfig)
    symbols: SymbolsConfig = field(default_factory=SymbolsConfig)
    frame: FrameConfig = field(default_factory=FrameConfig)

    __pydantic_config__ = _STRICT


VIEWS: tuple[View, ...] = get_args(View)
FIRST_NUMBERS: dict[str, dict[str, Any]] = {
    "ngram": {"precision": "float32"},
    "symbols": {"batch_size": 512, "learning_rate": 1.5e-3, "beta2": 0.98, "clip": 1.0},
    "frame": {},
}
"""What a view starts from where it is not the default above; a recipe and the command line stand above it."""
PLACES = ("texts", "output", "vectors", "pairs", "cache")
"""Where things lie on one machine: no part of a recipe."""
WITHOUT_EFFECT = ("name", "state_every", "log_every")
"""What may differ between a run and its continuation, beside the places."""


def build_config(*layers: Mapping[str, Any]) -> TrainingConfig:
    """Make a configuration of mappings, the later ones on top, and all of them on top of the view's first numbers.

    A name is a field of `TrainingConfig`, a dotted one (``ngram.words``), or the bare name of a number of the
    optimizer, the loss or the view: so recipes that were written when there was one view are still read.

    Raises:
        SettingsError: a name is not known, or a value is not allowed.
    """
    view = next((layer["view"] for layer in reversed(layers) if "view" in layer), TrainingConfig.view)
    values: dict[str, Any] = {}
    for layer in (FIRST_NUMBERS.get(view, {}), *layers):
        for name, value in layer.items():
            _put(values, view, name, value)
    try:
        config: TrainingConfig = TypeAdapter(TrainingConfig).validate_python(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(
            f"{place} cannot be {problem.get('input')!r}: {problem['msg']}.",
            remedy="Change it in the recipe or the option.",
        ) from error
    return config


def plain(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as JSON has it: without output and cache, other files by their names, other views left out."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=lambda value: Path(value).name))
    left_out = {"output", "cache", *VIEWS} - {config.view}
    return {name: value for name, value in content.items() if name not in left_out}


def _put(values: dict[str, Any], view: str, name: str, value: Any) -> None:
    place = _place(view, name)
    if place in _sections() and isinstance(value, Mapping):
        for inner, number in value.items():
            _put(values, view, f"{place}.{inner}", number)
        return
    section, _, number_name = place.rpartition(".")
    (values.setdefault(section, {}) if section else values)[number_name] = value


def _place(view: str, name: str) -> str:
    """The dotted name of a field that may have been named without its section."""
    if "." in name or name in _names(TrainingConfig):
        return name
    sections = _sections()
    for section in ("optimizer", "loss", view):
        if section in sections and name in _names(sections[section]):
            return f"{section}.{name}"
    raise SettingsError(f"A {view} student has no setting {name!r}.", remedy="docs/training.md names them all.")


def _sections() -> dict[str, type]:
    return {
        "loss": LossConfig,
        "optimizer": OptimizerConfig,
        "ngram": NgramConfig,
        "symbols": SymbolsConfig,
        "frame": FrameConfig,
    }


def _names(kind: type) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}
