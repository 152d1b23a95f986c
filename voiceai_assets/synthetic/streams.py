"""Random numbers without a memory: what is drawn depends on names (seed, caller, day), never on what was drawn before.

Belongs here: hashes of whole arrays to uniform and normal numbers, and a generator for each (day, block).
Does not belong here: what the numbers mean.

A caller's traits are hashed from the number, so ten million callers need no table. The hash is the finaliser of
splitmix64 (Steele, Lea and Flood 2014), a bijection of 64 bits: different callers never collide in one stream.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


class Stream(IntEnum):
    """One per trait, so that a new trait changes no old one."""

    REGION = 1
    LANGUAGE = 2
    CLARITY = 3
    FRAILTY = 4
    ACTIVITY = 5
    DISABILITY = 6
    CALLS_ON_DAY = 7
    DAY_SHOCK = 8
    SESSION_ID = 9
    WORDS = 10
    APPLICATIONS = 11
    SALES = 12
    DELIVERY = 13
    LEFT_OVER = 14
    RATINGS = 15
    CONTRADICTIONS = 16
    MISHEARING = 17
    ASSIGNMENT = 32  # plus the number of the experiment


_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def mix(values: Words) -> Words:
    """The finaliser of splitmix64, element by element."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _salt(seed: int, stream: int, day: int) -> np.uint64:
    salt = np.array([(seed * _GOLDEN + stream) & _MASK], dtype=np.uint64)
    salt = mix(mix(salt) + np.uint64(day))
    return np.uint64(salt[0])


def hashed(seed: int, stream: int, keys: Ints, day: int = 0) -> Words:
    """64 bits per key; a bijection of the keys."""
    return mix((keys.astype(np.uint64) * np.uint64(_GOLDEN)) ^ _salt(seed, stream, day))


def permuted(seed: int, stream: int, keys: Ints) -> Words:
    """48 bits per key; a bijection of keys below 2^48."""
    low = np.uint64((1 << 48) - 1)
    values = (keys.astype(np.uint64) ^ _salt(seed, stream, 0)) & low
    for _ in range(2):
        values ^= values >> np.uint64(25)
        values = (values * np.uint64(_GOLDEN)) & low
    return values ^ (values >> np.uint64(25))


def uniforms(seed: int, stream: int, keys: Ints, day: int = 0) -> Floats:
    """One number in (0, 1) per key."""
    return ((hashed(seed, stream, keys, day) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(seed: int, stream: int, keys: Ints, day: int = 0) -> Floats:
    """One standard normal number per key."""
    found: Floats = ndtri(uniforms(seed, stream, keys, day))
    return found


def generator(seed: int, day: int, block: int, stream: int = 0) -> np.random.Generator:
    """What is drawn within one block of one day for one purpose: a Philox stream of its own."""
    key = np.array([_salt(seed, stream, 0), (day << 32) | block], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def choose(shares: tuple[float, ...], draws: Floats) -> NDArray[np.int8]:
    """Index of the share that each uniform draw falls into."""
    edges = np.cumsum(shares)
    return np.searchsorted(edges[:-1] / edges[-1], draws, side="right").astype(np.int8)
