"""Redaction of JSON documents and of refused records: text, and the values of keys that name a person.

Belongs here: what is text in a document that may be broken. Does not belong here: what is a phone number or a name in
it (``redaction``), which keys name a person (``keys``).
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence

from voiceai_assets.privacy.keys import counts_people, names_person
from voiceai_assets.privacy.numbers import LONG_RUN, SPOKEN_RUN, mark_of
from voiceai_assets.privacy.redaction import MARK, NameFinder, name_finders, redact
from voiceai_assets.privacy.spelling import joined

_TONE, _WHITE = '(?:"[\\d*#]"|\\d)', "[ \\t\\r\\n]*+"
#: A list of single digits: a number that was keyed in or dictated. In text without brackets ``numbers`` finds it.
_TONES = f"\\[{_WHITE}(?:{_TONE}{_WHITE},{_WHITE}){{{SPOKEN_RUN - 1},}}+{_TONE}{_WHITE}\\]"
#: A list of nothing but short texts of digits, which may be the groups of one number.
_GROUPS = f'\\[{_WHITE}(?:"\\+?\\d{{1,7}}"{_WHITE},{_WHITE})++"\\d{{1,7}}"{_WHITE}\\]'
_TOKEN = re.compile(
    '"(?P<string>[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+)(?P<close>"?+)(?P<colon>\\s*+:\\s*+)?+'
    f"|(?P<tones>{_TONES})|(?P<groups>{_GROUPS})"
    '|(?P<open>[{\\[])|(?P<shut>[}\\]])|(?P<comma>[,:])|(?P<bare>[^"{}\\[\\],:]++)',
    re.DOTALL,
)
#: How it must begin besides, for years and counts make telephones of somewhere, too: like one here, with a plus or a
#: code of the region; like a card; like a Rwandan national id.
_BEGINS = {
    "[PHONE]": re.compile("[0+]|25[0-7]|243"),
    "[CARD]": re.compile("[0+3-6]"),
    "[NUMBER]": re.compile("[0+]|[1-3](?:19|20)\\d\\d[78]\\d{10}$"),
}
_NO_DIGIT = re.compile("[^\\d+]+")
_LONGEST_LABEL = 60  # characters
_JSON_NUMBER = re.compile("-?(?P<whole>\\d++)(?P<fraction>\\.\\d++)?+(?:[eE][+-]?\\d++)?+")
_LITERALS = frozenset(["", "true", "false", "null"])


def redact_json(document: str) -> str:
    """A JSON document with every string, key, long whole number and person redacted; all else stays byte for byte.

    A person is the value of a key that names one. Numbers with a fraction are measurements and stay (250788123456.0 has
    none). A document in a string is one, too. What is no JSON, or breaks off, is redacted piece by piece.
    """
    return "".join(_json_pieces(document, _redact_inner, is_record=False))


def _redact_inner(text: str) -> str:
    return redact_json(text) if _is_document(text) else redact(text)


def _is_document(text: str) -> bool:
    if text[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def redact_row(text: str, header: Sequence[str], delimiter: str) -> str:
    """A refused record of a CSV file: as a record, and the cells under columns that name a person.

    A row with other columns than the header is shifted nobody knows where, so as many cells beside those go as it is
    off by. A cell with line breaks may have swallowed rows behind an open quote: each of its lines counts as a row.
    """
    people = {index for index, name in enumerate(header) if names_person(name)}
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return "[UNREADABLE]"
    if not people or not rows:
        return redact_record(text)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    for cells in rows:
        off = abs(len(cells) - len(header))
        hidden = {place for index in people for place in range(index - off, index + off + 1)}
        writer.writerow(_redacted_cell(cell, header, delimiter, index in hidden) for index, cell in enumerate(cells))
    return out.getvalue().removesuffix("\n")


def _redacted_cell(cell: str, header: Sequence[str], delimiter: str, is_person: bool) -> str:
    if is_person:
        return _user_mark(cell)
    if "\n" in cell.strip():
        return "\n".join(redact_row(line, header, delimiter) for line in cell.split("\n"))
    return redact_record(cell)


def redact_record(text: str) -> str:
    """A refused record, whole or cut off, in whatever format: its text, and the values of keys that name a person.

    Dates, ISO time stamps and Unix times under keys that name a time survive, for they may be why it was refused.
    """
    if _LIKE_JSON.match(text):
        return "".join(_json_pieces(text, _redact_pairs, is_record=True))
    return _cleaned(text, _redact_pairs)


_LIKE_JSON = re.compile('[\ufeff\\s]*+(?:\\{\\s*+["}]|\\[\\s*+["{\\[\\]]|")')
_TIME_KEY = re.compile("(?:.*[_-])?(?:timestamp|time|date|at|ts)", re.IGNORECASE)
#: Seconds or milliseconds from 2001 to 2033, or a date without hyphens: the values that make a record a puzzle.
_PLAIN_TIME = re.compile("1\\d{9}(?:\\d{3})?|(?:19|20)\\d{6}")


#: Members of a JSON document that name a thing. "conv-20260801-000123" is no telephone number: without its digits all
#: conversations of a day would become one. The same ids stand unredacted in columns. Only a value that is a telephone
#: number, a card or an address as a whole is taken out.
IDENTIFIERS = frozenset(
    {"session_id", "call_id", "conversation_id", "flow_id", "experiment_id", "variant_id", "event_id"}
)
_PERSONAL_MARKS = frozenset({"[PHONE]", "[CARD]", "[EMAIL]", "[NAME]"})


def _json_pieces(text: str, clean: Callable[[str], str], *, is_record: bool) -> Iterator[str]:
    """The tokens of the text, redacted; a token that breaks off or is no JSON is text."""
    key = ""
    depth, person_depth = 0, 0  # person_depth: where the value of a person's key began, 0 outside
    for token in _TOKEN.finditer(text):
        is_person = person_depth > 0 or _is_persons(key, token)
        is_time = is_record and _names_time(key)
        is_name_of_thing = not is_record and not is_person and key in IDENTIFIERS
        match token.lastgroup:
            case "close" | "colon":
                plain = _decoded(token["string"])
                if token["colon"]:
                    key = _cleaned(plain, clean)
                    yield f'"{_encoded(token["string"], plain, key)}"{token["colon"]}'
                    continue
                is_plain_time = is_time and _PLAIN_TIME.fullmatch(plain)
                cleaned = _user_mark(plain) if is_person else plain if is_plain_time else _cleaned(plain, clean)
                if is_name_of_thing and cleaned not in _PERSONAL_MARKS:
                    cleaned = plain
                yield f'"{_encoded(token["string"], plain, cleaned)}{token["close"]}'
            case "tones" | "groups":
                yield _redacted_list(token, is_person=is_person)
            case "open":
                depth += 1
                if is_person and not person_depth:
                    person_depth = depth
                yield token[0]
            case "shut":
                person_depth = 0 if depth == person_depth else person_depth
                depth = max(depth - 1, 0)
                yield token[0]
            case "bare":
                yield _redacted_bare(token[0], clean, is_person=is_person, is_time=is_time)
            case _:
                yield token[0]
                continue
        key = ""


def _cleaned(text: str, clean: Callable[[str], str]) -> str:
    """What ``clean`` makes of a text; of a short one it is remembered, for keys and labels come again and again."""
    return _remembered(text, clean, name_finders()) if len(text) <= _LONGEST_LABEL else clean(text)


@functools.lru_cache(10_000)
def _remembered(text: str, clean: Callable[[str], str], _finders: Sequence[NameFinder]) -> str:
    return clean(text)


def _redacted_list(token: re.Match[str], *, is_person: bool) -> str:
    """A list of digits, or of groups of them."""
    mark = "[USER]" if is_person else "[NUMBER]" if token["tones"] else _mark_of_groups(token[0])
    return f'["{mark}"]' if mark else token[0]


def _mark_of_groups(listed: str) -> str:
    """What stands in place of a number whose groups a list holds; empty where they are years, counts or the like."""
    run = "".join(_NO_DIGIT.split(listed))
    mark = mark_of(run)
    return mark if mark != run and _BEGINS[mark].match(run) else ""


def _is_persons(key: str, value: re.Match[str]) -> bool:
    return names_person(key) and not (value.lastgroup == "bare" and counts_people(key))


def _redacted_bare(text: str, clean: Callable[[str], str], *, is_person: bool, is_time: bool) -> str:
    """What stands outside strings and brackets: a number, a literal, or no JSON."""
    value = text.strip()
    if value in _LITERALS:
        return text
    number = _JSON_NUMBER.fullmatch(value)
    if not number:
        return clean(text)
    is_whole = not (number["fraction"] or "").strip(".0")
    if is_person:
        mark = "[USER]"
    elif len(number["whole"]) >= LONG_RUN and is_whole and not (is_time and _PLAIN_TIME.fullmatch(value)):
        mark = "[NUMBER]"
    else:
        return text
    return text.replace(value, f'"{mark}"')


def _decoded(body: str) -> str:
    """The text that a JSON string means; what is no valid string means itself."""
    if "\\" not in body:
        return body
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return body


def _encoded(body: str, plain: str, cleaned: str) -> str:
    """The inside of a JSON string that means ``cleaned``; the original one if nothing was changed."""
    if cleaned == plain:
        return body
    has_surrogate = any("\ud800" <= c <= "\udfff" for c in cleaned)  # half a pair cannot be written as UTF-8
    return json.dumps(cleaned, ensure_ascii=has_surrogate)[1:-1]


def _names_time(key: str) -> bool:
    return bool(key) and _TIME_KEY.fullmatch(key[-80:]) is not None


def _user_mark(value: str) -> str:
    return value if not value.strip() or MARK.fullmatch(value) else "[USER]"


#: ``user_id=abc``, ``phone: abc``, and members of JSON inside other text, with their quotes escaped or doubled
_PAIR_KEY = re.compile("(?<![\\w-])(?P<key>[A-Za-z][\\w-]{1,40})[\"'\\\\]{0,6}[ ]{0,2}[:=][ ]{0,2}[\"'\\\\]{0,6}+")
_QUOTED_VALUE = re.compile("[^\"'\\\\]++")
_PLAIN_VALUE = re.compile("[^\\s,;&|\"'\\\\{}\\[\\]()<>]++")


def _redact_pairs(text: str) -> str:
    text = redact(text)  # first, because the value of "tel:078 812 3456" would end at the blank
    pieces: list[str] = []
    done = 0
    for pair in _PAIR_KEY.finditer(text):
        if pair.start() >= done and names_person(pair["key"]):
            kind = _QUOTED_VALUE if pair[0][-1] in "\"'\\" else _PLAIN_VALUE
            if value := kind.match(text, pair.end()):
                pieces += [text[done : value.start()], _user_mark(value[0])]
                done = value.end()
    return joined(pieces, text, done)
