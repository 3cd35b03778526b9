"""The loops over codes, compiled. Layout as in :class:`stores.indexes.codes.plan.CodePlan`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

_Bytes = NDArray[np.uint8]
_Integers = NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def pack_codes(codes: _Bytes, coarse_octets: int, fine_bits: _Integers, coarse: _Bytes, fine: _Bytes) -> None:
    """Write (n, 8 * octets) codes into both planes."""
    for row in range(codes.shape[0]):
        at = 0
        for octet in range(fine_bits.shape[0]):
            bits = fine_bits[octet]
            mask = (1 << bits) - 1
            first = 0
            word = np.uint64(0)
            for k in range(8):
                code = codes[row, 8 * octet + k]
                first |= (code >> bits) << (2 * k)
                word |= np.uint64(code & mask) << np.uint64(bits * k)
            if octet < coarse_octets:
                coarse[row, 2 * octet] = first & 255
                coarse[row, 2 * octet + 1] = first >> 8
            for k in range(bits):
                fine[row, at + k] = (word >> np.uint64(8 * k)) & np.uint64(255)
            at += bits


@numba.njit(cache=True, nogil=True)
def unpack_codes(coarse: _Bytes, fine: _Bytes, coarse_octets: int, fine_bits: _Integers, codes: _Bytes) -> None:
    """Read (n, 8 * octets) codes back out of both planes."""
    for row in range(codes.shape[0]):
        at = 0
        for octet in range(fine_bits.shape[0]):
            bits = fine_bits[octet]
            word = np.uint64(0)
            for k in range(bits):
                word |= np.uint64(fine[row, at + k]) << np.uint64(8 * k)
            at += bits
            for k in range(8):
                code = np.int64(word >> np.uint64(bits * k)) & ((1 << bits) - 1)
                if octet < coarse_octets:
                    code |= ((coarse[row, 2 * octet + (k >> 2)] >> (2 * (k & 3))) & 3) << bits
                codes[row, 8 * octet + k] = code


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def score_codes(
    coarse: _Bytes,
    fine: _Bytes,
    rows: _Integers,
    coarse_octets: int,
    fine_bits: _Integers,
    starts: _Integers,
    levels: FloatArray,
    base: np.float32,
    scores: FloatArray,
) -> None:
    """Sum the query's part at each axis's level, for the codes at ``rows``.

    All indices are unsigned: signed ones cost a test for negative values at every look-up, a quarter of the time.
    """
    u64 = np.uint64
    octets, first_octets = u64(fine_bits.shape[0]), u64(coarse_octets)
    for index in range(rows.shape[0]):
        row = u64(rows[index])
        at, octet = u64(0), u64(0)
        even, odd = np.float32(0.0), np.float32(0.0)  # two sums, so that one addition need not wait for the other
        while octet < octets:
            bits = u64(fine_bits[octet])
            word, k = u64(0), u64(0)
            while k < bits:
                word |= u64(fine[row, at + k]) << (k << u64(3))
                k += u64(1)
            at += bits
            mask = (u64(1) << bits) - u64(1)
            place = u64(starts[octet])
            if octet < first_octets:
                first = u64(coarse[row, octet + octet]) | (u64(coarse[row, octet + octet + u64(1)]) << u64(8))
                step = u64(4) << bits
                for _ in range(4):
                    even += levels[place + (((first & u64(3)) << bits) | (word & mask))]
                    word >>= bits
                    first >>= u64(2)
                    place += step
                    odd += levels[place + (((first & u64(3)) << bits) | (word & mask))]
                    word >>= bits
                    first >>= u64(2)
                    place += step
            else:
                step = u64(1) << bits
                for _ in range(4):
                    even += levels[place + (word & mask)]
                    word >>= bits
                    place += step
                    odd += levels[place + (word & mask)]
                    word >>= bits
                    place += step
            octet += u64(1)
        scores[index] = base + even + odd
