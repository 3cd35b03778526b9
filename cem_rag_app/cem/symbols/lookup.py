"""Feature hashes and the table that turns them into rows."""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.types import Integer, Integers, Table

WORD_SEED = 1469598103934665603
PAIR_SEED = 7809847782465536322
_PRIME = 1099511628211


@njit(cache=True, nogil=True)
def mix(state: Integer, value: Integer) -> Integer:
    """One FNV-1a step over a 64-bit value; integers wrap."""
    return (state ^ value) * _PRIME


@njit(cache=True, nogil=True)
def finish(state: Integer) -> Integer:
    """Spread the entropy into the low bits, one to one; 0, which marks a free slot, becomes 1."""
    state ^= (state >> 29) & 0x7FFFFFFFF
    state *= -4658895280553007687
    state ^= (state >> 32) & 0xFFFFFFFF
    return state if state != 0 else 1


@njit(cache=True, nogil=True)
def hash_all(keys: Integers) -> Integers:
    """`finish` of every key, ``(n,)`` int64."""
    hashes = np.empty(keys.size, dtype=np.int64)
    for i in range(keys.size):
        hashes[i] = finish(keys[i])
    return hashes


@njit(cache=True, nogil=True)
def pair_hash(left: Integer, right: Integer) -> Integer:
    """Hash of two neighbouring words, from their unfinished hashes."""
    return finish(mix(mix(PAIR_SEED, left), right))


@njit(cache=True, nogil=True)
def build_lookup(hashes: Integers, keys: Integers, rows: Table) -> None:
    """Fill an open-addressing table (a power of two, at least twice as large) with hash -> row."""
    mask = keys.size - 1
    for row in range(hashes.size):
        slot = hashes[row] & mask
        while keys[slot] != 0:
            slot = (slot + 1) & mask
        keys[slot] = hashes[row]
        rows[slot] = row


@njit(cache=True, nogil=True)
def find(key: Integer, keys: Integers, rows: Table) -> Integer:
    """Row of a hash, or -1."""
    mask = keys.size - 1
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return int(rows[slot])
        slot = (slot + 1) & mask
    return -1
