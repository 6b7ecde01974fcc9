"""Order of 64-bit keys by a sort that stays in the processor's cache."""

from __future__ import annotations

import numpy as np

from timbrec.types import Array, Bool, Int, UInt64


def argsort(keys: UInt64[Array, "n"]) -> Int[Array, "n"]:
    """The rows in ascending order of their keys; equal keys in ascending order of row.

    Keys are sorted together with their rows, packed into one number each: a plain sort of numbers is several times
    faster than numpy's `argsort`. Keys that are too long to be packed are cut to their high bits, and the few rows that
    are alike in these are sorted again.
    """
    bits = len(keys).bit_length()
    spare = 64 - int(keys.max(initial=0)).bit_length()
    low = np.uint64((1 << bits) - 1)
    packed = keys << np.uint64(min(spare, bits))
    packed &= ~low
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & low).astype(np.int64)
    if spare < bits:
        _sort_alike(order, keys[order], packed >> np.uint64(bits))
    return order


def starts(keys: UInt64[Array, "n"]) -> Bool[Array, "n"]:
    """A mask of the keys that differ from the one before; keys are sorted."""
    first = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return first


def _sort_alike(order: Int[Array, "n"], keys: UInt64[Array, "n"], heads: UInt64[Array, "n"]) -> None:
    """Sort, in place, the rows of `order` that have equal heads and different keys."""
    group = np.cumsum(starts(heads)) - 1
    mixed = np.zeros(len(group), bool)
    mixed[group[1:][(heads[1:] == heads[:-1]) & (keys[1:] != keys[:-1])]] = True
    rows = np.flatnonzero(mixed[group])
    order[rows] = order[rows][np.argsort(keys[rows], kind="stable")]
