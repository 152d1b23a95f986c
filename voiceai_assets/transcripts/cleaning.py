"""One spelling for what is said: lower case, contractions expanded, single spaces.

Belongs here: changes that leave every meaning as it was. Does not belong here: the cut into turns, any reading.

Cleaning is idempotent. Speaker marks survive as ``agent:`` and ``customer:``; punctuation and figures stay, because
sentences and sums of money are found by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`\uff07", "'"))

#: Whole words. "'d" is read as would ("I'd book it") but before "better"; "ain't" as is not.
_WORDS = {
    "won't": "will not", "can't": "cannot", "shan't": "shall not", "ain't": "is not", "let's": "let us",
    "y'all": "you all", "'tis": "it is", "'twas": "it was", "c'mon": "come on",
    "gonna": "going to", "wanna": "want to", "gotta": "got to", "gimme": "give me", "lemme": "let me",
    "dunno": "do not know", "cannot've": "cannot have",
}  # fmt: skip
_ENDINGS = {"n't": " not", "'ll": " will", "'re": " are", "'ve": " have", "'m": " am", "'d": " would"}
#: After these "'s" is a verb; after any other word it may be a possessive ("the agent's name") and stays.
_BEFORE_IS = "he she it that this there here what who where when how why everything nothing something one".split()

_CONTRACTION = re.compile(
    r"(?<![\w'])(?P<word>" + "|".join(map(re.escape, _WORDS)) + r")(?!\w)"
    r"|(?<=\w)(?P<better>'d(?=\s+better\b))"
    r"|(?<=[a-z])(?P<ending>n't|'ll|'re|'ve|'m|'d)(?!\w)"
    r"|\b(?P<subject>" + "|".join(_BEFORE_IS) + r")'s(?!\w)"
)
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """Lower case, contractions expanded, white space single. Cleaning what is clean changes nothing."""
    lower = text.lower().translate(_APOSTROPHES)
    while (expanded := _CONTRACTION.sub(_expand, lower)) != lower:  # "shouldn't've" takes two rounds
        lower = expanded
    return _SPACE.sub(" ", lower).strip()


def clean_column(texts: Iterable[str | None]) -> list[str | None]:
    """``clean`` over a column (a list, a pandas series, an Arrow column as Python values); null stays null.

    One compiled pattern a text: 3 MB/s on one core, that is 3,000 calls of two minutes a second.
    """
    return [clean(text) if isinstance(text, str) else None for text in texts]


def _expand(match: re.Match[str]) -> str:
    found = match.group(0)
    match match.lastgroup:
        case "word":
            return _WORDS[found]
        case "better":
            return " had"
        case "ending":
            return _ENDINGS[found]
        case _:
            return f"{match.group('subject')} is"
