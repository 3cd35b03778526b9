"""CAD-like macro sequences, made: labelled families of parts, drawn with sizes and noise of their own.

A sequence is (seq_len, 1 + N_ARGS) float32, as the drawing datasets have it (DeepCAD, Wu et al. 2021): a command and
16 arguments a row, quantised in 256 levels, -1 where the command does not use one.

====  =========  ====================================================================================
code  command    arguments it uses
====  =========  ====================================================================================
0     line       x, y: where it ends
1     arc        x, y, alpha (sweep), f (counter-clockwise)
2     circle     x, y, r
3     end
4     loop       starts a closed outline
5     extrude    theta, phi, gamma, px, py, pz, s (sketch plane), e1, e2 (lengths), b (operation), u (kind)
====  =========  ====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cem_rag_app.schema import FloatArray

LINE, ARC, CIRCLE, END, LOOP, EXTRUDE = range(6)
N_ARGS = 16
LEVELS = 256
CENTRE = 128.0
_NEW, _CUT, _JOIN = 0.0, 2.0, 1.0
_LONGEST = 60

Step = list[float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A made part: its family, its sequence, and its latent vector."""

    label: str
    vec: FloatArray
    z: FloatArray


class MacroGenerator:
    """Parts of every family, reproducible by seed.

    Args:
        seed: of everything drawn.
        dimension: of the latent vectors.
        latent_noise: length of the noise added to a latent vector of unit length.
    """

    def __init__(self, seed: int, dimension: int = 256, latent_noise: float = 0.35) -> None:
        self._draw = np.random.default_rng(seed)
        self._noise = latent_noise
        # The stand-in for an autoencoder is the same for every seed, as one trained model would be.
        fixed = np.random.default_rng(20_211_010)
        self._hidden = fixed.standard_normal((_FEATURES, 4 * dimension)) / math.sqrt(_FEATURES)
        self._output = fixed.standard_normal((4 * dimension, dimension)) / math.sqrt(4 * dimension)

    def part(self) -> Part:
        """A part of a family drawn at random."""
        label = str(self._draw.choice(list(FAMILIES)))
        vec = self._noisy(FAMILIES[label](self._draw))
        return Part(label, vec, self._latent(vec))

    def _noisy(self, steps: list[Step]) -> FloatArray:
        """Draw as people do: lines in two pieces, a hole or a boss more; then quantise, a level or two off."""
        draw = self._draw
        steps = [piece for before, step in pairwise([_step(END), *steps]) for piece in self._pieces(before, step)]
        if draw.random() < 0.2:
            x, y = draw.uniform(90, 166, 2)
            steps = [*steps, *_hole(x, y, draw.uniform(4, 14)), *_extrude(40, _CUT)]
        if draw.random() < 0.2:
            x, y = draw.uniform(90, 166, 2)
            steps = [*_hole(x, y, draw.uniform(10, 30)), *_extrude(draw.uniform(5, 20)), *steps]
        clean = np.asarray([*steps, _step(END)][-_LONGEST:], dtype=np.float64)
        rows = clean + np.rint(draw.normal(0.0, 1.2, clean.shape))
        rows = np.where(clean >= 0, np.clip(np.rint(rows), 0, LEVELS - 1), -1.0)
        for column in (0, 1 + _PLACES["f"], 1 + _PLACES["b"], 1 + _PLACES["u"]):
            rows[:, column] = clean[:, column]  # commands, directions and kinds of operation are no measures
        return rows.astype(np.float32)

    def _pieces(self, before: Step, step: Step) -> list[Step]:
        """A line from where the step before it ended, sometimes in two pieces."""
        if step[0] != LINE or before[0] not in (LINE, ARC) or self._draw.random() > 0.1:
            return [step]
        share = self._draw.uniform(0.3, 0.7)
        x, y = (before[column] + share * (step[column] - before[column]) for column in (1, 2))
        return [_step(LINE, x=x, y=y), step]

    def _latent(self, vec: FloatArray) -> FloatArray:
        clean = np.tanh(2.0 * _features(vec) @ self._hidden) @ self._output
        clean /= np.linalg.norm(clean)
        noise = self._draw.standard_normal(len(clean))
        latent = clean + self._noise * noise / np.linalg.norm(noise)
        return (latent / np.linalg.norm(latent)).astype(np.float32)


_FEATURES = 6 + 6 * N_ARGS * 2 + 36


def _features(vec: FloatArray) -> FloatArray:
    """What an encoder may notice: shares of commands, means and spreads of their arguments, which follows which."""
    commands = vec[:, 0].astype(int)
    shares = np.bincount(commands, minlength=6)[:6] / len(vec)
    means = np.zeros((6, N_ARGS))
    spreads = np.zeros((6, N_ARGS))
    for command in range(6):
        rows = vec[commands == command, 1:]
        if len(rows):
            values = np.where(rows >= 0, rows - CENTRE, 0.0) / CENTRE
            means[command], spreads[command] = values.mean(axis=0), values.std(axis=0)
    follows = np.zeros((6, 6))
    np.add.at(follows, (commands[:-1], commands[1:]), 1.0 / len(vec))
    joined = np.concatenate((3 * shares, means.ravel(), spreads.ravel(), 3 * follows.ravel()))
    return joined.astype(np.float32)


def _step(command: int, **arguments: float) -> Step:
    row = [float(command)] + [-1.0] * N_ARGS
    for name, value in arguments.items():
        row[1 + _PLACES[name]] = value
    return row


_NAMES = ("x", "y", "alpha", "f", "r", "theta", "phi", "gamma", "px", "py", "pz", "s", "e1", "e2", "b", "u")
_PLACES = {name: place for place, name in enumerate(_NAMES)}


def _extrude(length: float, operation: float = _NEW, size: float = 128.0, height: float = CENTRE) -> list[Step]:
    return [
        _step(
            EXTRUDE, theta=128, phi=128, gamma=128, px=128, py=128, pz=height, s=size,
            e1=128 + length / 2, e2=128, b=operation, u=0,
        )
    ]  # fmt: skip


def _outline(points: list[Point], draw: np.random.Generator) -> list[Step]:
    """A closed polygon; it may start at any corner and go round either way, as people draw."""
    start = int(draw.integers(len(points)))
    points = points[start:] + points[:start]
    if draw.random() < 0.3:
        points = points[::-1]
    return [_step(LOOP), *(_step(LINE, x=CENTRE + x, y=CENTRE + y) for x, y in points)]


def _hole(x: float, y: float, radius: float) -> list[Step]:
    return [_step(LOOP), _step(CIRCLE, x=x, y=y, r=radius)]


def _disc(radius: float) -> list[Step]:
    return _hole(CENTRE, CENTRE, radius)


def _rectangle(width: float, height: float) -> list[Point]:
    return [(width, -height), (width, height), (-width, height), (-width, -height)]


def _ring(count: int, radius: float, hole: float) -> list[Step]:
    angles = [2 * math.pi * number / count for number in range(count)]
    return [
        step
        for angle in angles
        for step in _hole(CENTRE + radius * math.cos(angle), CENTRE + radius * math.sin(angle), hole)
    ]


def _polygon(corners: int, radius: float) -> list[Point]:
    angles = [2 * math.pi * number / corners for number in range(corners)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


def _plate(draw: np.random.Generator) -> list[Step]:
    return [*_outline(_rectangle(*draw.uniform(40, 110, 2)), draw), *_extrude(draw.uniform(5, 25))]


def _drilled_plate(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(60, 110, 2)
    radius, inset = draw.uniform(5, 12), draw.uniform(15, 25)
    corners = _rectangle(width - inset, height - inset)
    holes = [step for x, y in corners for step in _hole(CENTRE + x, CENTRE + y, radius)]
    return [*_outline(_rectangle(width, height), draw), *holes, *_extrude(draw.uniform(5, 25))]


def _washer(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(40, 110)
    return [*_disc(radius), *_disc(radius * draw.uniform(0.4, 0.6)), *_extrude(draw.uniform(3, 15))]


def _tube(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(30, 80)
    return [*_disc(radius), *_disc(radius * draw.uniform(0.75, 0.92)), *_extrude(draw.uniform(120, 240))]


def _flange(draw: np.random.Generator) -> list[Step]:
    radius, count = draw.uniform(70, 115), int(draw.choice([4, 6, 8]))
    ring = _ring(count, radius * draw.uniform(0.7, 0.8), draw.uniform(5, 9))
    return [*_disc(radius), *_disc(radius * draw.uniform(0.3, 0.45)), *ring, *_extrude(draw.uniform(10, 30))]


def _hub(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(60, 110)
    collar = [*_disc(radius * draw.uniform(0.4, 0.55)), *_extrude(draw.uniform(60, 120), _JOIN)]
    bore = [*_disc(radius * draw.uniform(0.2, 0.3)), *_extrude(draw.uniform(150, 240), _CUT)]
    return [*_disc(radius), *_extrude(draw.uniform(15, 30)), *collar, *bore]


def _shaft(draw: np.random.Generator) -> list[Step]:
    steps: list[Step] = []
    height = 128.0
    for number in range(int(draw.integers(3, 6))):
        steps += [*_disc(draw.uniform(15, 70)), *_extrude(length := draw.uniform(30, 90), _JOIN if number else _NEW)]
        steps[-1][1 + _PLACES["pz"]] = min(255.0, height)
        height += length / 4
    return steps


def _angle(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(50, 110, 2)
    thick = draw.uniform(10, 24)
    points = [(-width, -height), (width, -height), (width, thick - height), (thick - width, thick - height),
              (thick - width, height), (-width, height)]  # fmt: skip
    return [*_outline(points, draw), *_extrude(draw.uniform(60, 200))]


def _channel(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(50, 110, 2)
    thick = draw.uniform(8, 20)
    points = [(-width, -height), (width, -height), (width, height), (width - thick, height),
              (width - thick, thick - height), (thick - width, thick - height), (thick - width, height),
              (-width, height)]  # fmt: skip
    return [*_outline(points, draw), *_extrude(draw.uniform(60, 200))]


def _tee(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(50, 110, 2)
    thick = draw.uniform(8, 20)
    points = [(-width, height), (-width, height - thick), (-thick, height - thick), (-thick, -height),
              (thick, -height), (thick, height - thick), (width, height - thick), (width, height)]  # fmt: skip
    return [*_outline(points, draw), *_extrude(draw.uniform(60, 200))]


def _beam(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(40, 90), draw.uniform(60, 110)
    web, cap = draw.uniform(5, 12), draw.uniform(10, 20)
    right = [(width, -height), (width, cap - height), (web, cap - height), (web, height - cap),
             (width, height - cap), (width, height)]  # fmt: skip
    return [*_outline([*right, *((-x, y) for x, y in right[::-1])], draw), *_extrude(draw.uniform(120, 240))]


def _cross(draw: np.random.Generator) -> list[Step]:
    long, thick = draw.uniform(60, 110), draw.uniform(12, 28)
    quarter = [(thick, -long), (thick, -thick), (long, -thick)]
    points: list[Point] = []
    for _ in range(4):
        points += quarter
        quarter = [(-y, x) for x, y in quarter]
    return [*_outline(points, draw), *_extrude(draw.uniform(10, 60))]


def _nut(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(40, 100)
    bore = _disc(radius * draw.uniform(0.45, 0.6))
    return [*_outline(_polygon(6, radius), draw), *bore, *_extrude(draw.uniform(25, 60))]


def _bolt(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(40, 80)
    shank = [*_disc(radius * draw.uniform(0.4, 0.55)), *_extrude(draw.uniform(120, 230), _JOIN)]
    return [*_outline(_polygon(6, radius), draw), *_extrude(draw.uniform(20, 50)), *shank]


def _slot_outline(length: float, radius: float) -> list[Step]:
    x, y = CENTRE + length, CENTRE + radius
    return [
        _step(LOOP),
        _step(LINE, x=x, y=CENTRE - radius),
        _step(ARC, x=x, y=y, alpha=128, f=1),
        _step(LINE, x=CENTRE - length, y=y),
        _step(ARC, x=CENTRE - length, y=CENTRE - radius, alpha=128, f=1),
    ]


def _link(draw: np.random.Generator) -> list[Step]:
    length, radius = draw.uniform(40, 80), draw.uniform(15, 40)
    bore = radius * draw.uniform(0.4, 0.6)
    eyes = [*_hole(CENTRE - length, CENTRE, bore), *_hole(CENTRE + length, CENTRE, bore)]
    return [*_slot_outline(length, radius), *eyes, *_extrude(draw.uniform(8, 30))]


def _slotted_plate(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(80, 115), draw.uniform(50, 90)
    slot = _slot_outline(width * draw.uniform(0.4, 0.6), height * draw.uniform(0.15, 0.3))
    return [*_outline(_rectangle(width, height), draw), *slot, *_extrude(draw.uniform(5, 25))]


def _rounded_plate(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(60, 110, 2)
    radius = draw.uniform(10, 30)
    steps = [_step(LOOP)]
    for side_x, side_y in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        along_x = side_x * side_y < 0
        inner, outer = (width - radius, height), (width, height - radius)
        first, second = (inner, outer) if along_x else (outer, inner)
        steps.append(_step(LINE, x=CENTRE + side_x * first[0], y=CENTRE + side_y * first[1]))
        steps.append(_step(ARC, x=CENTRE + side_x * second[0], y=CENTRE + side_y * second[1], alpha=64, f=1))
    return [*steps, *_extrude(draw.uniform(5, 25))]


def _box(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(60, 110, 2)
    wall, depth = draw.uniform(5, 15), draw.uniform(60, 180)
    inside = _outline(_rectangle(width - wall, height - wall), draw)
    return [*_outline(_rectangle(width, height), draw), *_extrude(depth), *inside, *_extrude(depth - wall, _CUT)]


def _cup(draw: np.random.Generator) -> list[Step]:
    radius, wall, depth = draw.uniform(40, 100), draw.uniform(4, 12), draw.uniform(80, 200)
    return [*_disc(radius), *_extrude(depth), *_disc(radius - wall), *_extrude(depth - wall, _CUT)]


def _stair(draw: np.random.Generator) -> list[Step]:
    count = int(draw.integers(3, 6))
    width, height = draw.uniform(60, 110, 2)
    points: list[Point] = [(-width, -height), (width, -height)]
    for number in range(count):
        level = -height + 2 * height * (number + 1) / count
        edge = width - 2 * width * number / count
        points += [(edge, level), (edge - 2 * width / count, level)]
    return [*_outline(points, draw), *_extrude(draw.uniform(60, 200))]


def _gear(draw: np.random.Generator) -> list[Step]:
    teeth, radius = int(draw.integers(8, 12)), draw.uniform(60, 100)
    points = []
    for number in range(2 * teeth):
        length = radius * (1.2 if number % 2 else 1.0)
        angle = math.pi * number / teeth
        points.append((length * math.cos(angle), length * math.sin(angle)))
    return [*_outline(points, draw), *_disc(radius * draw.uniform(0.2, 0.4)), *_extrude(draw.uniform(15, 40))]


def _gusset(draw: np.random.Generator) -> list[Step]:
    width, height = draw.uniform(50, 110, 2)
    return [*_outline([(-width, -height), (width, -height), (-width, height)], draw), *_extrude(draw.uniform(5, 25))]


def _pulley(draw: np.random.Generator) -> list[Step]:
    radius = draw.uniform(60, 110)
    rim = draw.uniform(8, 20)
    groove = [*_disc(radius * draw.uniform(0.75, 0.9)), *_extrude(draw.uniform(20, 40), _JOIN)]
    bore = [*_disc(radius * draw.uniform(0.15, 0.3)), *_extrude(200, _CUT)]
    return [*_disc(radius), *_extrude(rim), *groove, *_disc(radius), *_extrude(rim, _JOIN), *bore]


FAMILIES: dict[str, Callable[[np.random.Generator], list[Step]]] = {
    "angle": _angle,
    "beam": _beam,
    "bolt": _bolt,
    "box": _box,
    "channel": _channel,
    "cross": _cross,
    "cup": _cup,
    "drilled-plate": _drilled_plate,
    "flange": _flange,
    "gear": _gear,
    "gusset": _gusset,
    "hub": _hub,
    "link": _link,
    "nut": _nut,
    "plate": _plate,
    "pulley": _pulley,
    "rounded-plate": _rounded_plate,
    "shaft": _shaft,
    "slotted-plate": _slotted_plate,
    "stair": _stair,
    "tee": _tee,
    "tube": _tube,
    "washer": _washer,
}
