"""E-mail addresses, written and spoken.

Belongs here: hosts, and the part before the "at". Does not belong here: web and postal addresses, which stay.
"""

from __future__ import annotations

import re

from voiceai_assets.privacy.names import NO_NAME
from voiceai_assets.privacy.numbers import UNITS
from voiceai_assets.privacy.spelling import AT_SIGN, BLANK, GAP, SPACE, joined, words

_WRITTEN_HOST = re.compile(f"(?:{AT_SIGN}(?=[\\d.-]*+[^\\W\\d])[\\w-]+(?:\\.[\\w-]+)*)++")
_LONGEST_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1; the bound also keeps hostile input linear
_LOCAL_PUNCTUATION = frozenset("._%+-'\u2019")

PROVIDER = words("gmail", "g mail", "yahoo", "hotmail", "icloud", "ymail", "protonmail")
#: Without those that are words, as in "at that point in time".
TOP_LEVEL = "com|org|net|info|gov|edu|int|biz|africa|io|rw|ug|ke|tz|bi|cd|fr|uk|nl|eu|za|ng|gh|cn"
_SPOKEN_AT = words("at", "arobase?", "\u00e0 commercial")
_LABEL = "[\\w-]{1,63}"
_SPOKEN_DOT = f"(?:{GAP}(?ai:dot){GAP}|[{BLANK}]{{0,3}}[(\\[](?ai:dot)[)\\]][{BLANK}]{{0,3}})"
_POINT = f"(?:\\.|{GAP}(?ai:dot|point){GAP})"
_SPOKEN_HOST = re.compile(
    # "@ gmail . com", "@gmail dot com"
    f"(?:[{BLANK}]{{0,3}}{AT_SIGN}[{BLANK}]{{0,3}}(?=[\\d-]{{0,63}}[^\\W\\d]){_LABEL}"
    f"(?:(?:[{BLANK}]{{0,3}}\\.[{BLANK}]{{0,3}}|{GAP}(?ai:dot|point){GAP}){_LABEL})+"
    # "at gmail dot com", "at irembo.gov.rw", "arobase gmail point com", "at gmail"
    f"|(?:[{SPACE}]{{0,3}}[(\\[](?ai:at)[)\\]][{BLANK}]{{0,3}}|{GAP}(?ai:{_SPOKEN_AT}){GAP})"
    f"(?:{_LABEL}(?:{_SPOKEN_DOT}{_LABEL})+|{_LABEL}(?:{_POINT}{_LABEL}){{0,4}}{_POINT}(?ai:{TOP_LEVEL})"
    f"|(?ai:{PROVIDER})(?:{_POINT}(?ai:{TOP_LEVEL}))?))(?!\\w)"
)
_SPOKEN_WORD = re.compile("[\\w.%+'\u2019-]+")
_JOINERS = frozenset("bas dash dot hyphen minus plus point tiret underscore".split())
#: Words before "at" or before an address that are no part of it: "apply at irembo dot gov dot rw" is a web site.
_NO_LOCAL_PART = NO_NAME | frozenset(
    "address adresse apply available check courriel email e-mail found go look mail more online page portal read "
    "register see send site up visit website work works working write".split()
)
_LOOK_BACK = 160  # characters: an address spelled letter by letter


def without_written_emails(text: str) -> str:
    """The text with a mark in place of every address that stands there with its sign."""
    pieces: list[str] = []
    done = 0
    for host in _WRITTEN_HOST.finditer(text):
        start, bound = host.start(), max(done, host.start() - _LONGEST_LOCAL_PART)
        while start > bound and (text[start - 1].isalnum() or text[start - 1] in _LOCAL_PUNCTUATION):
            start -= 1
        if start < host.start():
            pieces += [text[done:start], "[EMAIL]"]
            done = host.end()
    return joined(pieces, text, done)


def without_spoken_emails(text: str) -> str:
    """The text with a mark in place of every address that was said: "jane dot doe at gmail dot com"."""
    pieces: list[str] = []
    done = 0
    for host in _SPOKEN_HOST.finditer(text):
        start = _local_part(text, max(done, host.start() - _LOOK_BACK), host.start())
        if start is not None:
            pieces += [text[done:start], "[EMAIL]"]
            done = host.end()
    return joined(pieces, text, done)


def _local_part(text: str, bound: int, end: int) -> int | None:
    """Where the address starts that ends before "at": back over joined words, spelled letters and one word more."""
    words = list(_SPOKEN_WORD.finditer(text, bound, end))
    if not words or text[words[-1].end() : end].strip(",;") or words[-1][0].lower() in _NO_LOCAL_PART:
        return None
    first = len(words) - 1
    has_extra = False  # "jane doe at gmail dot com" may well be janedoe
    while first > 0 and text[words[first - 1].end() : words[first].start()].isspace():
        word, before = words[first][0].lower(), words[first - 1][0].lower()
        if not (word in _JOINERS or before in _JOINERS or (_is_spelled(word) and _is_spelled(before))):
            if before in _NO_LOCAL_PART or has_extra:
                break
            has_extra = True
        first -= 1
    return words[first].start()


def _is_spelled(word: str) -> bool:
    return len(word) == 1 or word.isdecimal() or word in UNITS
