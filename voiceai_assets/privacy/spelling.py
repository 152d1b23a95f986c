"""Building blocks of the redaction rules that mean the same to Python's ``re`` and to DuckDB's RE2.

Belongs here: kinds of characters, gaps, alternatives of words. Does not belong here: any rule.
"""

from __future__ import annotations

import unicodedata

#: Every script's digits, spelled out: Python's ``\\d`` and RE2's ``\\p{Nd}`` know different editions of Unicode. Each
#: script has its ten in a row, and none lies beyond the planes that are looked through.
DIGIT = f"[{''.join(f'{c}-{chr(ord(c) + 9)}' for c in map(chr, range(0x20000)) if unicodedata.decimal(c, None) == 0)}]"
#: Blanks, and what is not seen at all: joiners, marks of direction, selectors of a glyph's variant.
BLANK = " \u00a0\u061c\u180e\u2000-\u200f\u202a-\u202f\u205f-\u2064\u2066-\u2069\u3000\ufe0e\ufe0f\ufeff"
SPACE = f"{BLANK}\\t\\n\\r\\f\\v"
ODD_GAPS = f"{BLANK}\u00b7\u2022\u2027\u20e3\u2219\u22c5\u30fb"  # with dots at half height and a keycap's frame
#: Between digits: what phonenumbers allows there, and what it does not know.
BETWEEN = f"{ODD_GAPS}()./~\u00ad\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f\\-"
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
