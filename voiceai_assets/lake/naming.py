"""Names of files that are somebody's: a number to call, a card or an address, which would leave landing in the name.

Belongs here: which names, what is said and what is landed in their place. Does not belong here: texts
(``privacy.redaction``).
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache

from voiceai_assets.adapters.base import split_name
from voiceai_assets.privacy.addresses import without_written_emails
from voiceai_assets.privacy.numbers import mark_of
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

_MARK = re.compile(r"\[(?:PHONE|CARD|EMAIL)\]")
_SHORTEST = 9  # digits; eight are a date or a counter more often than a number to call
_CLOCK = r"(?:[-_T. ]?[0-2]\d[-.:_]?[0-5]\d(?:[-.:_]?[0-5]\d(?:[.]?\d{3}(?:\d{3})?)?)?Z?)?"
#: Dates, times, Unix times from 2001 to 2033, UUIDs and ids in hexadecimal: in the names of many files.
_TIME = re.compile(
    rf"(?a:(?<!\d)(?:(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01]){_CLOCK}"
    rf"|(?:0[1-9]|[12]\d|3[01])[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:19|20)\d\d{_CLOCK}|1\d{{9}}(?:\d{{3}}){{0,3}})(?!\d))"
)
_ID = (
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|[A-Za-z]{0,3}(?=[0-9A-Fa-f]*\d[A-Fa-f]+\d)[0-9A-Fa-f]{16,})(?![0-9A-Za-z])"
)
_PARTS = re.compile(rf"(?P<kept>{_ID}|{_TIME.pattern})|\+?\(?\d(?:[ ().~\u00b7-]{{0,3}}\d)*")
_GROUP = re.compile(r"\+?\d+")


_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # digits would join those beside them


def draft_name(name: str, ending: str) -> str:
    """What a file is called while it is made: hidden, and not after itself, whose name may be as long as one can be."""
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.{ending}"


@lru_cache(maxsize=65_536)  # every look into landing asks for every file
def without_persons(path: str) -> str:
    """The path below landing with a mark in place of each number to call, card and address; formats' endings stay."""
    return "/".join(map(_marked, path.split("/")))


def is_personal(path: str) -> bool:
    """Whether a file must not be read under this name."""
    return without_persons(path) != path


def landing_name(path: str, pseudonymise: Pseudonymiser) -> str:
    """The path with letters of a keyed hash in place of what is somebody's; landed again, a file has the same name."""
    parts = [(part, _marked(part)) for part in path.split("/")]
    return "/".join(part if part == marked else _MARK.sub(_hash(part, pseudonymise), marked) for part, marked in parts)


def personal_name(name: str) -> str:
    """What to say of a file that waits for another name, and what to do."""
    return (
        f"{name}: its name holds a telephone number, a card or an address, which would be in every table; rename it, "
        "or land it from elsewhere: voiceai land copies it under a name without"
    )


def _hash(part: str, pseudonymise: Pseudonymiser) -> str:
    return pseudonymise(f"name of a file: {part}")[:8].translate(_LETTERS)


def _marked(part: str) -> str:
    stem, _ = split_name(part)
    return _PARTS.sub(_marked_run, without_written_emails(stem)) + part[len(stem) :]


def _marked_run(found: re.Match[str]) -> str:
    """Groups of a run of digits, as in ``0788123456-20260801-1``, else the run as a whole, as in ``0788-123-456``."""
    run = found[0]
    if found["kept"]:
        return run
    marked = _GROUP.sub(lambda group: _personal_mark(group[0]) or group[0], run)
    return marked if marked != run or _TIME.search(run) else _personal_mark(run) or run


def _personal_mark(run: str) -> str | None:
    is_long = sum(map(str.isdecimal, run)) >= _SHORTEST and not _TIME.fullmatch(run)
    return mark if is_long and _MARK.fullmatch(mark := mark_of(run)) else None
