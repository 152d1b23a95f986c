"""Building blocks of the redaction rules that mean the same to Python's ``re`` and to DuckDB's RE2.

Belongs here: kinds of characters, gaps, alternatives of words. Does not belong here: any rule.
"""

from __future__ import annotations

DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]"  # also Arabic, Persian, Devanagari, full width
BLANK = " \u00a0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff"
SPACE = f"{BLANK}\\t\\n\\r\\f\\v"
BETWEEN = f"{BLANK}()./~\u00ad\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f\\-"  # digits; as phonenumbers has it
GAP = f"[{SPACE}]{{1,3}}"  # between two words
AT_SIGN = "[@\uff20]"


E_ACUTE, A_GRAVE = "(?:e|\u00e9|\u00c9)", "(?:a|\u00e0|\u00c0)"  # speech recognition drops accents at will


def words(*templates: str) -> str:
    """Alternatives; a space stands for any gap, an apostrophe for either apostrophe, a space or nothing."""
    pattern = "|".join(templates).replace(" ", GAP).replace("'", "['\u2019 ]?")
    return pattern.replace("\u00e9", E_ACUTE).replace("\u00e0", A_GRAVE)


def joined(pieces: list[str], text: str, done: int) -> str:
    """The pieces and what follows them in the text; the text itself where there are none."""
    return "".join([*pieces, text[done:]]) if pieces else text
