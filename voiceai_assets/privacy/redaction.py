"""Redaction of free text, in two steps: a cheap suspicion for every text, careful Python for the few suspects.

Belongs here: the rules together, and the suspicion. Does not belong here: single rules (``numbers``, ``addresses``,
``names``, ``keys``, ``audio``), JSON and refused records (``records``), pseudonyms of fields that name a person
(``pseudonyms``), which columns hold text (contracts).

:func:`suspects` finds every text that :func:`redact` or ``records.redact_json`` would change (a property test holds
them together), so nothing else need see them. Marks: [EMAIL], [PHONE], [CARD], [NUMBER], [NAME], [AUDIO], and [USER]
for the values of keys that name a person, in refused records and in JSON. Nothing here is anonymisation:
docs/privacy.md lists what is *not* recognised, first of all names without a cue, and for that reason no free text is
ever published.

**Names without a cue** need an NER model, which is a plug-in and off by default: none comes with this package. A
package that offers a :class:`NameFinder` under the entry point group ``voiceai_assets.name_finders`` switches it on by
being installed::

    [project.entry-points."voiceai_assets.name_finders"]
    spacy = "our_ner:names"      # def names(text: str) -> list[tuple[int, int]]

Every text then goes through the finder, so the speed is the finder's, and :func:`redact` is idempotent only if the
finder is. An exception of the finder is not caught: a name that could not be looked for must not pass as no name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.privacy.addresses import PROVIDER, TOP_LEVEL, without_spoken_emails, without_written_emails
from voiceai_assets.privacy.audio import AUDIO, without_audio
from voiceai_assets.privacy.keys import PERSON_MEMBER
from voiceai_assets.privacy.names import CUE, CUE_IF_CAPITAL, CUE_IF_TAIL, FILLERS, OPENING, TAIL, TITLES, without_names
from voiceai_assets.privacy.numbers import (
    DOCUMENT,
    DOCUMENT_GAP,
    DOCUMENT_WORDS,
    FILLED_PAUSE,
    FRACTION,
    FRENCH_TEEN,
    FRENCH_TEN,
    GROUPED_CARD,
    ISO_DATE,
    LONG_RUN,
    ONE_BY_ONE,
    PAUSE,
    SPOKEN_RUN,
    TEEN,
    TEN,
    UNIT,
    without_numbers,
    without_spoken_numbers,
)
from voiceai_assets.privacy.spelling import A_GRAVE, AT_SIGN, BETWEEN, BLANK, DIGIT, E_ACUTE, GAP, SPACE, joined

NAME_FINDERS = "voiceai_assets.name_finders"  # entry point group


_VERSION = "6"  # raise it when other texts are redacted than before: every day that holds text becomes stale


@cache
def version() -> str:
    """Name of the rules in force, the installed name finders among them: part of every load id."""
    finders = [f"{e.name}-{e.dist.version if e.dist else '?'}" for e in entry_points(group=NAME_FINDERS)]
    return "+".join([_VERSION, *sorted(finders)])


class NameFinder(Protocol):
    """Finds names of people: half-open ranges (start, end) of characters in ``text``, in any order.

    Two days may be refined at once, hence it may be called by two threads.
    """

    def __call__(self, text: str, /) -> Sequence[tuple[int, int]]:
        """The ranges; empty when there is no name."""
        ...


# -- text --------------------------------------------------------------------------------------------------------------

_PASSES = 5  # a mark may uncover what stood beside it; three passes are the most that the property tests met


def suspects(texts: pa.Array) -> pa.Array:
    """Mask of the texts that :func:`redact` or ``records.redact_json`` might change, and of some harmless ones.

    Arrow compiles a pattern once, DuckDB twice for each time that a query names it: of a small day that was most of
    the work. docs/privacy.md says how many harmless texts are suspected.

    Args:
        texts: strings, shape (n,), without nulls.

    Returns:
        Booleans, shape (n,).
    """
    if name_finders():
        return pc.not_equal(texts, "")
    mask = pc.match_substring_regex(texts, _SUSPICIOUS)
    if not _holds(texts, '"'):
        return mask
    quoted = pc.match_substring(texts, '"')
    doubtful = pc.and_(mask, quoted)
    reduced = pc.replace_substring_regex(texts.filter(doubtful), pattern=_PLAIN_MEMBERS, replacement=r'""\1')
    mask = pc.replace_with_mask(mask, doubtful, pc.match_substring_regex(reduced, _SUSPICIOUS))
    # a pattern of its own: with this one in it the other would be beyond the size at which RE2 is quick
    people = pc.match_substring_regex(texts.filter(quoted), f"(?i){PERSON_MEMBER}|{_TONES}")
    return pc.or_(mask, pc.replace_with_mask(quoted, quoted, people))


def _holds(texts: pa.Array, character: str) -> bool:
    """Whether an ASCII character may stand in any of the texts; to ask each one takes half as long as the pattern."""
    characters = texts.buffers()[2]
    return characters is not None and bool((np.frombuffer(characters, np.uint8) == ord(character)).any())


def redact(text: str) -> str:
    """The text with a mark in place of all that this module recognises; idempotent, linear, never raises by itself."""
    for _ in range(_PASSES):
        before = text
        text = without_spoken_emails(without_written_emails(without_audio(text)))  # sound first: it holds digits
        text = without_names(without_spoken_numbers(without_numbers(text)))
        if text == before:
            break
    for find in name_finders():
        text = _without_ranges(text, find(text))
    return text


@cache
def name_finders() -> tuple[NameFinder, ...]:
    """The finders that installed packages offer, by name; none unless somebody installs one."""
    return tuple(found.load() for found in sorted(entry_points(group=NAME_FINDERS), key=lambda entry: entry.name))


MARK = re.compile("\\[[A-Z_]{2,40}\\]")


def _without_ranges(text: str, ranges: Sequence[tuple[int, int]]) -> str:
    """Names that a plug-in found; what touches a mark in place already is left alone."""
    taken = [mark.span() for mark in MARK.finditer(text)]
    pieces: list[str] = []
    done = 0
    for start, stop in sorted(ranges):
        end = min(stop, len(text))
        if end <= max(start, done) or any(start < mark_end and mark_start < end for mark_start, mark_end in taken):
            continue
        if start >= done:  # else it overlaps the name before it, and one mark is enough
            pieces += [text[done:start], "[NAME]"]
        done = end
    return joined(pieces, text, done)


def _suspicious_pattern() -> str:
    """All rules in one pattern of RE2: no look-around, wider than the rules, blind to case, awake to JSON's escapes.

    One pattern, because the cost is the pass over the text and not the size of the automaton.
    """
    not_dot = BETWEEN.replace(".", "")
    # A fraction d.ddd is a confidence, not a run; a run may begin behind dots that belong to no number.
    run = (
        f"(?:^|[^0-9.]|\\.\\.)\\.*{DIGIT}(?:"
        f"(?:{DIGIT}|[{not_dot}][{BETWEEN}]{{0,3}}{DIGIT}|\\.[{BETWEEN}]{{1,3}}{DIGIT})"
        f"(?:[{BETWEEN}]{{0,4}}{DIGIT}){{{LONG_RUN - 2}}}"
        f"|\\.{DIGIT}+[{BETWEEN}]{{1,4}}{DIGIT})"
        f"|[+\uff0b][{BETWEEN}]{{0,3}}{DIGIT}(?:[{BETWEEN}]{{0,4}}{DIGIT}){{{LONG_RUN - 1}}}"  # no fraction
    )
    start = "(?:\\b|\\\\u[0-9a-f]{4})"  # a word may follow an escaped character
    word = f"{start}(?:{UNIT}|{TEEN}|{TEN}|{FRENCH_TEEN}|{FRENCH_TEN}|double|triple|treble|fois)\\b"
    token = f"(?:{word}|{DIGIT}{{1,4}})"
    gap = f"{PAUSE}(?:(?:{FILLED_PAUSE}){PAUSE})?"
    spoken = f"{word}{gap}{token}{gap}{token}|{token}{gap}(?:{word}{gap}{token}|{token}{gap}{word})"
    email = (
        f"{AT_SIGN}|[(\\[]at[)\\]]|(?:{start}(?:at|arobase?)|{A_GRAVE}{GAP}commercial){GAP}"
        f"(?:(?:{PROVIDER})|[^{SPACE}]+(?:\\.(?:{TOP_LEVEL})|{GAP}(?:dot|point)\\b|[{BLANK}]{{0,3}}[(\\[]dot))"
    )
    document = f"{start}(?:{DOCUMENT})(?:{DOCUMENT_GAP}(?:{DOCUMENT_WORDS})){{0,4}}{DOCUMENT_GAP}[a-z]{{0,3}}{DIGIT}"
    before = "|".join(sorted(FILLERS | TITLES))
    names = (
        f"{start}(?:{CUE}|(?:{CUE_IF_TAIL})\\b[\\s\\S]*(?:{TAIL})"
        f"|(?-i:{CUE_IF_CAPITAL})[{OPENING}]{{1,6}}(?:(?:{before})[.{OPENING}]{{1,6}})*(?-i:[^a-z0-9{OPENING}]))"
    )
    escape = "\\\\(?:[/bfnrt]|u(?:00[0-7ab]|0[1-9a-f]|[^0]))"  # not \", \\ and the accents of Western Europe
    pattern = f"(?i)(?:{run}|{ONE_BY_ONE}|{GROUPED_CARD}|{document}|{spoken}|{email}|{names}|{escape}|{AUDIO})"
    for accented, code in ((E_ACUTE, "[ce]9"), (A_GRAVE, "[ce]0")):
        pattern = pattern.replace(accented, f"{accented[:-1]}|\\\\u00{code})")
    # RE2 writes a counted class out as many times; beyond some size it has no automaton and takes 40 times as long
    return re.sub(r"\]\{([01]),\d+\}", lambda count: "]*" if count[1] == "0" else "]+", pattern)


_SUSPICIOUS = _suspicious_pattern()
#: Of a document, which may stand in a string of another one: a list of digits one by one, or of texts of digits.
_IN_LIST = "(?:\\\\[nrt]|[\\s\\\\])*"
_TONES = (
    f'\\[(?:(?:{_IN_LIST}"?)*[0-9*#{DIGIT[1:-1]}](?:{_IN_LIST}"?)*,){{{SPOKEN_RUN - 1}}}'
    f'|\\[{_IN_LIST}"[+]?{DIGIT}+\\\\*"{_IN_LIST},{_IN_LIST}"'
)
#: Values in JSON whose digits mean nothing. Without this second look every document with a time stamp is a suspect.
_PLAIN_MEMBERS = (
    f'"{ISO_DATE}'
    '(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"'
    f'|": ?-?{FRACTION}(}}|, ?")'
)
