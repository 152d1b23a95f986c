"""Runs of digits that may be somebody's: phone numbers, cards, ids; written and spoken.

Belongs here: what is a run, and what looks like one and is none. Does not belong here: JSON (``records``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from voiceai_assets.privacy.spelling import BETWEEN, BLANK, DIGIT, GAP, ODD_GAPS, SPACE, joined, words

#: Regions whose national spelling of a phone number is known; numbers with a plus are known from anywhere. Rwanda, its
#: neighbours, then countries that callers abroad ring from.
REGIONS = ("RW", "UG", "KE", "TZ", "BI", "CD", "FR", "BE", "GB", "US")
LONG_RUN = 8  # written digits in a row that go whatever they mean; practically no valid number has fewer
SPOKEN_RUN = 7  # spoken digits in a row; people seldom count aloud that far


def _date(group: int) -> str:
    """Pattern of a date with a four-digit year; its two inner groups hold the separators and need numbers."""
    return (
        f"(?:(?:19|20)\\d\\d([-/.])(?:0?[1-9]|1[0-2])\\{group}(?:3[01]|[12]\\d|0?[1-9])"
        f"|(?:3[01]|[12]\\d|0?[1-9])([-/.])(?:3[01]|[12]\\d|0?[1-9])\\{group + 1}(?:19|20)\\d\\d)(?!\\d)"
    )


_TIME = "\\d{1,2}:\\d\\d(?!\\d)(?::\\d\\d(?!\\d)(?:[.,]\\d{1,9}(?!\\d))?)?(?: ?(?:Z|UTC|[+-]\\d\\d:?\\d\\d)\\b)?"
_CURRENCY = (
    "(?i:rwf|frw|francs?|amafaranga|shillings?|shilingi|usd|dollars?|euros?|eur|kes|ugx|tzs|bif)\\b|[$\u20ac\u00a3]"
)
_NO_MORE = f"(?![{BETWEEN}]{{0,4}}{DIGIT})"
_NO_MORE_NEAR = f"(?![{BETWEEN.replace('.', '')}]{{0,3}}{DIGIT}|\\.{DIGIT})"
_AMOUNT = f"[1-9]\\d?(?:[{BLANK}.]\\d{{3}}){{2}}{_NO_MORE}"  # eight digits: with nine it may be a phone number
#: A measurement in a JSON member; 250788123456.0 is a phone number that went through a spreadsheet.
FRACTION = "[0-9]+\\.[0-9]*[1-9][0-9]*(?:[eE][+-]?[0-9]+)?"
#: What looks like a run of digits and is none. Beside further digits it may be a part of one, so it must stand alone.
_HARMLESS = "|".join(
    [
        f"{_date(2)}[T{BLANK}]{{1,2}}{_TIME}",
        "(?:19|20)\\d{6}T\\d{4}(?:\\d\\d)?(?:[.,]\\d{1,9})?(?!\\d)",
        f"{_date(4)}(?: ?[-\u2013/ ] ?{_date(6)})?{_NO_MORE_NEAR}",
        "\\d{1,2}:\\d\\d:\\d\\d[.,]\\d{1,9}(?!\\d)",
        f"(?:19|20)\\d\\d ?[-\u2013/] ?(?:19|20)\\d\\d{_NO_MORE}",  # from one year to another
        f"\\d\\.\\d++(?:[{BLANK}]++\\d\\.\\d++)*+{_NO_MORE}",  # confidences; not 0788.123456
        f'(?:(?<=":)|(?<=": )|(?<=":-)|(?<=": -)){FRACTION}(?=[,}}])',
        f"{_AMOUNT}(?=[{BLANK}]?(?:{_CURRENCY}))",
    ]
)
_AMOUNT_BEHIND_CURRENCY = f"(?<!\\w)(?:{_CURRENCY})[{BLANK}]?{_AMOUNT}"
_OPEN = f"(?:[(\uff08](?=[+\uff0b]?{DIGIT}{{1,5}}[)\uff09]))?"  # "(078)", not the bracket of a whole sentence
_RUN = f"[+\uff0b]?{_OPEN}[+\uff0b]?{DIGIT}(?:[{BETWEEN}]{{0,4}}{DIGIT})*+"
_NUMBERS = re.compile(f"((?a:(?<!\\d)(?:{_HARMLESS})|{_AMOUNT_BEHIND_CURRENCY}))|(?P<run>{_RUN})")
#: Digits dictated one by one: "0, 7, 8, 8, ..."; the blank tells them from columns of a CSV line.
ONE_BY_ONE = f"{DIGIT}(?:[,.;\\-]?[{SPACE}]{{1,3}}{DIGIT}){{{SPOKEN_RUN - 1}}}"
_DICTATED = re.compile(f"(?<!\\w){ONE_BY_ONE}(?:[,.;-]?[{SPACE}]{{1,3}}{DIGIT}(?!\\w))*+(?!\\w)")
#: Groups of a card with a mark between them that stands in times, too; so it must be a card.
GROUPED_CARD = f"{DIGIT}{{4}}[_:\t](?:{DIGIT}{{4}}[_:\t]{DIGIT}{{4}}|{DIGIT}{{6}})[_:\t]{DIGIT}{{1,7}}"
_GROUPED_CARD = re.compile(f"(?<!{DIGIT}){GROUPED_CARD}(?!{DIGIT})")
#: Ids that letters keep from being a run of digits.
DOCUMENT = words(
    "passports?",
    "passeports?",
    "pas[io]poro",
    "pasipoti",
    "(?:national|identity) (?:id|card)(?: card)?",
    "id (?:card|number)",
    "carte d'identit\u00e9",
    "indangamuntu",
    "(?:driver'?s|driving) licen[cs]e",
    "permis(?: de conduire)?",
    "visa",
)
DOCUMENT_GAP = f"[{SPACE}:#.,\u00b0\"']{{1,4}}"
DOCUMENT_WORDS = words(
    "numbers?", "no", "n[\u00b0o]?", "num\u00e9ro", "num", "nimero", "namba", "is", "est", "ni", "ya"
)
_DOCUMENT = re.compile(
    f"(?<!\\w)(?ai:{DOCUMENT})(?:{DOCUMENT_GAP}(?ai:{DOCUMENT_WORDS})(?!\\w)){{0,4}}{DOCUMENT_GAP}"
    f"(?P<id>(?=(?:[A-Za-z]{{0,3}}{DIGIT}){{5}})\\w{{6,14}})(?!\\w)"
)
_LONGEST_PHONE = 17  # digits: 15 (E.164) and the prefix 00


_ODD_GAP = re.compile(f"[{ODD_GAPS}]")


def without_numbers(text: str) -> str:
    """The text with a mark in place of every long run of figures, also of figures dictated one by one."""
    text = _GROUPED_CARD.sub(lambda found: "[CARD]" if _is_card(_digits_in(found[0])) else found[0], text)
    text = _DICTATED.sub("[NUMBER]", _NUMBERS.sub(_number_mark, text))
    return _DOCUMENT.sub(lambda found: f"{found[0][: found.start('id') - found.start()]}[NUMBER]", text)


def _number_mark(found: re.Match[str]) -> str:
    return found[0] if found["run"] is None else mark_of(found["run"])


def mark_of(run: str) -> str:
    """What stands in place of a run of digits and what may be between them; the run itself where it is short."""
    digits = _digits_in(run)
    if len(digits) < LONG_RUN:
        return run
    if _is_phone(_ODD_GAP.sub(" ", run), len(digits)):  # phonenumbers does not know the blanks of French typography
        return "[PHONE]"
    return "[CARD]" if _is_card(digits) else "[NUMBER]"


def _digits_in(run: str) -> str:
    return "".join(c for c in run if c.isdecimal())


@lru_cache(maxsize=4096)  # scripted answers repeat their numbers, and a miss costs up to 0.2 ms
def _is_phone(run: str, digits: int) -> bool:
    """Whether the whole run is one phone number. It decides the mark only: a long run goes in any case."""
    if digits > _LONGEST_PHONE:
        return False
    for region in REGIONS:
        try:
            number = phonenumbers.parse(run, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):  # asked first: the matcher also tries every part of the run
            found = phonenumbers.PhoneNumberMatcher(run, region, leniency=phonenumbers.Leniency.VALID, max_tries=1)
            if any(sum(c.isdecimal() for c in match.raw_string) == digits for match in found):
                return True
    return False


def _is_card(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B) on a length that cards have."""
    if not 13 <= len(digits) <= 19:
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


# -- spoken ------------------------------------------------------------------------------------------------------------

UNITS = frozenset(
    "zero oh o nought one two three four five six seven eight nine "  # English
    "z\u00e9ro un une deux trois quatre cinq sept huit neuf "  # French
    "zeru rimwe kabiri gatatu kane gatanu gatandatu karindwi umunani icyenda "  # Kinyarwanda, counting
    "imwe ebyiri eshatu enye eshanu esheshatu indwi ndwi "  # Kinyarwanda, counting things
    "sifuri moja mbili tatu nne tano sita saba nane tisa".split()  # Swahili
)
_ZEROS = ("0", "zero", "z\u00e9ro", "oh", "zeru", "sifuri")
UNIT = words(*sorted(UNITS, key=lambda word: (-len(word), word)))
TEEN = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
TEN = "twenty|thirty|fou?rty|fifty|sixty|seventy|eighty|ninety"
FRENCH_TEEN = "dix|onze|douze|treize|quatorze|quinze|seize"
FRENCH_TEN = "vingts?|trente|quarante|cinquante|soixante"
_HYPHEN = f"[{SPACE}\\-]{{1,3}}"
_TWO_DIGITS = (
    f"(?:quatre{_HYPHEN}vingts?|{FRENCH_TEN})(?:{_HYPHEN}et)?"
    f"{_HYPHEN}(?:dix{_HYPHEN}(?:sept|huit|neuf)|{FRENCH_TEEN}|{UNIT})"
    f"|quatre{_HYPHEN}vingts?|dix{_HYPHEN}(?:sept|huit|neuf)|(?:{TEN}){_HYPHEN}(?:{UNIT})"
    f"|{TEEN}|{TEN}|{FRENCH_TEEN}|{FRENCH_TEN}"
)
ISO_DATE = "(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_SPOKEN_TOKEN = re.compile(
    f"(?<!\\w)(?:(?P<figures>(?!{ISO_DATE}){DIGIT}{{1,4}})|(?ai:(?P<two>{_TWO_DIGITS})"
    f"|(?:(?P<double>double|deux{GAP}fois)|(?P<triple>triple|treble|trois{GAP}fois)){_HYPHEN}(?:{UNIT}|{DIGIT})"
    f"|{UNIT}))(?!\\w)"
)
PAUSE = f"[{SPACE},.;\\-\u2010-\u2015]{{1,4}}"
FILLED_PAUSE = "uh|um|er|euh|and|then|et|puis|na|dash|hyphen|space"
_SPOKEN_GAP = re.compile(f"{PAUSE}(?:(?ai:{FILLED_PAUSE}){PAUSE})?")


def without_spoken_numbers(text: str) -> str:
    """The text with a mark in place of every long run of digits that were said as words."""
    pieces: list[str] = []
    done = position = 0
    while first := _SPOKEN_TOKEN.search(text, position):
        digits, spoken_digits, tokens = 0, 0, 0
        for token in _spoken_run(text, first):
            position = token.end()
            tokens += 1
            digits += _digits_of(token)
            spoken_digits += 0 if token["figures"] else _digits_of(token)
        # one word among figures is seldom dictated ("in 2019 and 2020 two people"), unless it all begins with a zero
        is_dictated = spoken_digits > 1 or (spoken_digits == 1 and first[0].lower().startswith(_ZEROS))
        if is_dictated and digits >= SPOKEN_RUN and tokens >= 3:
            pieces += [text[done : first.start()], "[NUMBER]"]
            done = position
    return joined(pieces, text, done)


def _spoken_run(text: str, first: re.Match[str]) -> Iterator[re.Match[str]]:
    token: re.Match[str] | None = first
    while token:
        yield token
        gap = _SPOKEN_GAP.match(text, token.end())
        token = _SPOKEN_TOKEN.match(text, gap.end()) if gap else None


def _digits_of(token: re.Match[str]) -> int:
    if token["figures"]:
        return len(token["figures"])
    if token["two"] or token["double"]:
        return 2
    return 3 if token["triple"] else 1
