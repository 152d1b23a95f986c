"""How many words of what a caller said were recognised wrongly.

Belongs here: two texts in, counts out. Does not belong here: where the texts lie, rates over many turns (dbt).
"""

from __future__ import annotations

import re

from rapidfuzz.distance import Levenshtein

_AROUND_A_WORD = re.compile(r"^[\W_]+|[\W_]+$")


def words(text: str | None) -> list[str]:
    """Words of a text as blanks separate them, lower case and without the punctuation around them."""
    spoken = (text or "").casefold().replace("\u2019", "'").split()
    return [word for word in (_AROUND_A_WORD.sub("", part) for part in spoken) if word]


def word_errors(reference: str | None, recognised: str | None) -> tuple[int, int]:
    """Words that were said, and the fewest substitutions, deletions and insertions that explain what was recognised.

    The word error rate of many turns is the sum of the second over the sum of the first (S + D + I over N, as NIST's
    sclite counts it); it may exceed 1. Nothing recognised is nothing heard: every word is deleted.

    Args:
        reference: what a person heard in the recording.
        recognised: what speech recognition made of it.
    """
    said = words(reference)
    return len(said), Levenshtein.distance(said, words(recognised))
