"""How many bits each axis of a code gets, and where they lie.

Transform coding: axes of large spread get more bits, by the greedy rule that gives the next bits to the axes whose
error they lower most (Gersho and Gray 1992, chapter 8.3). Eight neighbouring axes, an *octet*, share one number of
bits, so that an octet takes whole bytes.

An axis's code is *nested*: its two first bits alone are a coarser code of the same value. The first bits of the widest
axes form the **coarse plane**, which every search runs through; all other bits form the **fine plane**, which is read
for the best of them. In both planes the axis k of an octet has its bits from bit k * width on, little-endian.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

OCTET = 8
COARSE_OCTETS = 16
"""Octets in the coarse plane at most: two bytes each, 32 bytes a vector."""
COARSE_BITS = 2
MOST_BITS = 8
# What is left of a Gaussian's variance after b bits of its best scalar quantiser (Max 1960; from 6 bits on Panter and
# Dite's limit).
_LEFT = (1.0, 0.3634, 0.1175, 0.03454, 0.009497, 0.002499, 0.00066, 0.00017, 0.00004)


@dataclass(frozen=True, slots=True)
class CodePlan:
    """Bits of each octet of axes, widest first.

    Attributes:
        bits: (octets,) int64, bits of an axis, 0 to 8.
        coarse_octets: the first so many octets have two bits an axis in the coarse plane.
    """

    bits: NDArray[np.int64]
    coarse_octets: int

    @property
    def axes(self) -> int:
        """Axes that have a place, with bits or without."""
        return OCTET * len(self.bits)

    @property
    def coarse_bytes(self) -> int:
        """Bytes of a coarse code."""
        return COARSE_BITS * self.coarse_octets

    @property
    def fine_bits(self) -> NDArray[np.int64]:
        """(octets,) bits of an axis in the fine plane, which are the bytes of the octet there."""
        return self.bits - COARSE_BITS * (np.arange(len(self.bits)) < self.coarse_octets)

    @property
    def fine_bytes(self) -> int:
        """Bytes of a fine code."""
        return int(self.fine_bits.sum())


def make_plan(variances: FloatArray, code_bytes: int) -> CodePlan:
    """Share out the bytes of a code.

    Args:
        variances: (8 * octets,) spread along each axis, largest first.
        code_bytes: bytes of a whole code; fewer are used where 8 bits an axis need no more.
    """
    spread = variances.reshape(-1, OCTET).sum(axis=1)
    coarse_octets = min(COARSE_OCTETS, len(spread), code_bytes // COARSE_BITS) // 2 * 2 or 1
    bits = np.zeros(len(spread), dtype=np.int64)
    bits[:coarse_octets] = COARSE_BITS
    gains = [(-_gain(spread[octet], bits[octet]), octet) for octet in range(len(spread))]
    heapq.heapify(gains)
    for _ in range(code_bytes - int(bits.sum())):
        if not gains:
            break
        _, octet = heapq.heappop(gains)
        bits[octet] += 1
        if bits[octet] < MOST_BITS:
            heapq.heappush(gains, (-_gain(spread[octet], bits[octet]), octet))
    return CodePlan(bits, coarse_octets)


def _gain(spread: np.float32, bits: np.int64) -> float:
    """What the next bit takes off an octet's squared error."""
    return float(spread) * (_LEFT[bits] - _LEFT[bits + 1])
