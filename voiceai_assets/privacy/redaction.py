"""Redaction of free text, in two steps: a cheap SQL suspicion for every row, careful Python for the few suspects.

Belongs here: what counts as a phone number, card, address or name in running text. Does not belong here: JSON and
refused records (``records``), pseudonyms of fields that name a person (``pseudonyms``), which columns hold text
(contracts).

:func:`suspicious` is true for every text that :func:`redact` or ``records.redact_json`` would change (a property test
holds them together), so nothing else need see them. Marks: [EMAIL], [PHONE], [CARD], [NUMBER], [NAME], and [USER] for
the values of a refused record's keys that name a person. Nothing here is anonymisation: docs/privacy.md lists what is
*not* recognised, first of all names without a cue, and for that reason no free text is ever published.

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
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Protocol

import phonenumbers

NAME_FINDERS = "voiceai_assets.name_finders"  # entry point group

#: Regions whose national spelling of a phone number is known; numbers with a plus are known from anywhere. Rwanda, its
#: neighbours, then countries that callers abroad ring from.
REGIONS = ("RW", "UG", "KE", "TZ", "BI", "CD", "FR", "BE", "GB", "US")
LONG_RUN = 8  # written digits in a row that go whatever they mean; practically no valid number has fewer
SPOKEN_RUN = 7  # spoken digits in a row; people seldom count aloud that far

_VERSION = "3"  # raise it when other texts are redacted than before: every day that holds text becomes stale


@cache
def version() -> str:
    """Name of the rules in force, the installed name finders among them: part of every load id."""
    finders = [f"{e.name}-{e.dist.version if e.dist else '?'}" for e in entry_points(group=NAME_FINDERS)]
    return "+".join([_VERSION, *sorted(finders)])


class NameFinder(Protocol):
    """Finds names of people: half-open ranges (start, end) of characters in ``text``, in any order."""

    def __call__(self, text: str, /) -> Sequence[tuple[int, int]]:
        """The ranges; empty when there is no name."""
        ...


# -- building blocks that mean the same to Python's re and to DuckDB's RE2 ---------------------------------------------

_DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]"  # also Arabic, Persian, Devanagari, full width
_BLANK = " \u00a0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff"
_SPACE = f"{_BLANK}\\t\\n\\r\\f\\v"
_BETWEEN = f"{_BLANK}()./~\u00ad\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f\\-"  # digits; as phonenumbers has it
_GAP = f"[{_SPACE}]{{1,3}}"  # between two words
_AT_SIGN = "[@\uff20]"


_E_ACUTE, _A_GRAVE = "(?:e|\u00e9|\u00c9)", "(?:a|\u00e0|\u00c0)"  # speech recognition drops accents at will


def _words(*templates: str) -> str:
    """Alternatives; a space stands for any gap, an apostrophe for either apostrophe, a space or nothing."""
    pattern = "|".join(templates).replace(" ", _GAP).replace("'", "['\u2019 ]?")
    return pattern.replace("\u00e9", _E_ACUTE).replace("\u00e0", _A_GRAVE)


def joined(pieces: list[str], text: str, done: int) -> str:
    """The pieces and what follows them in the text; the text itself where there are none."""
    return "".join([*pieces, text[done:]]) if pieces else text


# -- names -------------------------------------------------------------------------------------------------------------

_CUE = _words(
    "(?:my|his|her|their|our|your) (?:[a-z]{1,12} )?names?(?:'s| is| are| was)",
    "the names?(?:'s| is| are)",
    "(?:i am|i'm|he is|he's|she is|she's) called",
    "(?:they|people|you can|just) call me",
    "je m'appelle",
    "(?:il|elle) s'appelle",
    "on m'appelle",
    "je me (?:pr\u00e9)?nomme",
    "(?:mon|son|votre) (?:pr\u00e9)?nom(?: complet| de famille)? (?:est|c'est)",
    "[ny]itwa",  # Kinyarwanda: I am called, he or she is called
    "izina (?:ryan(?:jy|g)e|rye) ni",  # my name is, his or her name is
    "amazina (?:yan(?:jy|g)e|ye) ni",  # the same, names
    "(?:nina|na|ana)itwa",  # Swahili: I am called, he or she is called
    "jina (?:langu|lake) ni",
)
_CUE_IF_TAIL = _words("this is", "it is", "it's", "c'est", "ici")
_TAIL = _words("speaking", "calling", "on the (?:line|phone)", "\u00e0 l'appareil", "au t\u00e9l\u00e9phone")
_CUE_IF_CAPITAL = _words("[Ii] am", "[Ii]'m", "(?:[Cc]all|CALL) me", "[Ss]peaking (?:with|to)")

#: Words that end a name or show that none follows the cue. Capitalised ("Can", "Merci") they may be names after all.
_NO_NAME = frozenset(
    # English
    "a about again already also am an and another are as at back be because been before being but by call called "
    "calling can correct could currently did different do does for from give had has have hello help her here hi him "
    "his how i i'd i'll i'm i've if im in incorrect is it it's its just later like looking me missing my name names "
    "need needed no not now number of ok okay on or our phone please registered required right she so something "
    "somebody someone speaking still thank thanks that the their them then there these they this to today tomorrow "
    "trying unknown us very want wanted was we what when where which who why will with would wrong yes you your "
    # French
    "appelle au aux avec bien bonjour c'est ce comment dans de des du elle en est et habite il j'ai j'habite j'appelle "
    "j'aimerais je la le les ma mais merci mes mon ne nous n'est on ou o\u00f9 par pas pour quand que qui quoi sa "
    "s'il ses son suis sur svp un une vais veux voudrais votre vous y \u00e0 "
    # Kinyarwanda
    "ariko ese gute iki kandi ku mfite mu mumfashe murakoze muri mwamfasha na nahoze nari nashaka nashakaga navutse "
    "nde ndashaka ndi ngira ni nifuza nkaba nkeneye nkomoka none nta ntuye mvuka ubu ubwo wowe "
    # Swahili
    "asante kutoka lakini nahitaji naishi nani naomba nataka natoka ninaishi ninataka tafadhali".split()
)
_PARTICLES = frozenset("al ben bin d da de der di dos du el la le van von".split())  # inside a name: Jean de Dieu
_FILLERS = frozenset("eh em er erm euh hmm mm spelled spelt uh uhm um".split())  # between cue and name
_NAME_WORD = re.compile("[^\\W\\d_](?:\\w|['\u2019-](?=\\w)){0,80}+")  # the bound keeps hostile input linear
_NAME_GAP = re.compile(f"[{_SPACE}]{{1,3}}")
_OPENING = f"{_SPACE}:,\"\u201c\u00ab'\u2018\\-"
_NAME_OPENING = re.compile(f"[{_OPENING}]{{1,6}}")
_LONGEST_NAME = 3  # words in small letters; what is longer shows itself by capitals
_LONGEST_CAPITALISED_NAME = 6
_NAME_CUE = re.compile(
    f"(?<!\\w)(?:(?P<plain>(?ai:{_CUE}))|(?P<tail>(?ai:{_CUE_IF_TAIL}))|(?P<capital>(?a:{_CUE_IF_CAPITAL})))(?!\\w)"
)
_NAME_TAIL = re.compile(f"[{_SPACE},]{{1,4}}(?ai:{_TAIL})(?!\\w)")


def _without_names(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for cue in _NAME_CUE.finditer(text):
        span = _name_after(text, cue.end(), capitals_only=cue["capital"] is not None) if cue.start() >= done else None
        if span and (not cue["tail"] or _NAME_TAIL.match(text, span[1])):
            pieces += [text[done : span[0]], "[NAME]"]
            done = span[1]
    return joined(pieces, text, done)


def _name_after(text: str, position: int, *, capitals_only: bool) -> tuple[int, int] | None:
    """Range of the name that begins behind a cue, after punctuation and fillers; None if the next word is no name."""
    start = end = None
    words, was_letter = 0, False
    gap = _NAME_OPENING.match(text, position)
    while gap and (found := _NAME_WORD.match(text, gap.end())):
        word, is_letter = found[0], found.end() - found.start() == 1
        if start is None and word.lower() in _FILLERS:
            gap = _NAME_OPENING.match(text, found.end())
            continue
        is_particle = start is not None and word.lower() in _PARTICLES
        if not is_particle:
            # "j a n e": behind a single letter, "a" and "i" are letters too
            if not (is_letter and was_letter) and _ends_name(word, words, capitals_only=capitals_only):
                break
            words += not is_letter
            start, end = found.start() if start is None else start, found.end()
        was_letter = is_letter
        gap = _gap_inside_name(text, found.end(), is_letter=is_letter)
    return None if start is None or end is None else (start, end)


def _ends_name(word: str, words_before: int, *, capitals_only: bool) -> bool:
    is_capitalised = word[0].isupper()
    if word.lower() in _NO_NAME and not (is_capitalised and word[1:].islower()):
        return True
    if capitals_only and not (is_capitalised and word[1:2].islower()):
        return True
    return words_before >= (_LONGEST_CAPITALISED_NAME if is_capitalised else _LONGEST_NAME)


def _gap_inside_name(text: str, position: int, *, is_letter: bool) -> re.Match[str] | None:
    """A gap between two words of a name: an initial may have its full stop, a capital a comma before it."""
    behind = text[position : position + 3]
    if (behind[:1] == "." and is_letter) or (behind[:2] == ", " and behind[2:].isupper()):
        position += 1
    return _NAME_GAP.match(text, position)


# -- e-mail addresses --------------------------------------------------------------------------------------------------

_WRITTEN_HOST = re.compile(f"(?:{_AT_SIGN}(?=[\\d.-]*+[^\\W\\d])[\\w-]+(?:\\.[\\w-]+)*)++")
_LONGEST_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1; the bound also keeps hostile input linear
_LOCAL_PUNCTUATION = frozenset("._%+-'\u2019")

_PROVIDER = _words("gmail", "g mail", "yahoo", "hotmail", "icloud", "ymail", "protonmail")
#: Without those that are words, as in "at that point in time".
_TOP_LEVEL = "com|org|net|info|gov|edu|int|biz|africa|io|rw|ug|ke|tz|bi|cd|fr|uk|nl|eu|za|ng|gh|cn"
_SPOKEN_AT = _words("at", "arobase?", "\u00e0 commercial")
_LABEL = "[\\w-]{1,63}"
_SPOKEN_DOT = f"(?:{_GAP}(?ai:dot){_GAP}|[{_BLANK}]{{0,3}}[(\\[](?ai:dot)[)\\]][{_BLANK}]{{0,3}})"
_POINT = f"(?:\\.|{_GAP}(?ai:dot|point){_GAP})"
_SPOKEN_HOST = re.compile(
    # "@ gmail . com", "@gmail dot com"
    f"(?:[{_BLANK}]{{0,3}}{_AT_SIGN}[{_BLANK}]{{0,3}}(?=[\\d-]{{0,63}}[^\\W\\d]){_LABEL}"
    f"(?:(?:[{_BLANK}]{{0,3}}\\.[{_BLANK}]{{0,3}}|{_GAP}(?ai:dot|point){_GAP}){_LABEL})+"
    # "at gmail dot com", "at irembo.gov.rw", "arobase gmail point com", "at gmail"
    f"|(?:[{_SPACE}]{{0,3}}[(\\[](?ai:at)[)\\]][{_BLANK}]{{0,3}}|{_GAP}(?ai:{_SPOKEN_AT}){_GAP})"
    f"(?:{_LABEL}(?:{_SPOKEN_DOT}{_LABEL})+|{_LABEL}(?:{_POINT}{_LABEL}){{0,4}}{_POINT}(?ai:{_TOP_LEVEL})"
    f"|(?ai:{_PROVIDER})(?:{_POINT}(?ai:{_TOP_LEVEL}))?))(?!\\w)"
)
_SPOKEN_WORD = re.compile("[\\w.%+'\u2019-]+")
_JOINERS = frozenset("bas dash dot hyphen minus plus point tiret underscore".split())
#: Words before "at" or before an address that are no part of it: "apply at irembo dot gov dot rw" is a web site.
_NO_LOCAL_PART = _NO_NAME | frozenset(
    "address adresse apply available check courriel email e-mail found go look mail more online page portal read "
    "register see send site up visit website work works working write".split()
)
_LOOK_BACK = 160  # characters: an address spelled letter by letter


def _without_written_emails(text: str) -> str:
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


def _without_spoken_emails(text: str) -> str:
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
    return len(word) == 1 or word.isdecimal() or word in _UNITS


# -- digits, written ---------------------------------------------------------------------------------------------------


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
_NO_MORE = f"(?![{_BETWEEN}]{{0,4}}{_DIGIT})"
_NO_MORE_NEAR = f"(?![{_BETWEEN.replace('.', '')}]{{0,3}}{_DIGIT}|\\.{_DIGIT})"
_AMOUNT = f"[1-9]\\d?(?:[{_BLANK}.]\\d{{3}}){{2}}{_NO_MORE}"  # eight digits: with nine it may be a phone number
#: A measurement in a JSON member; 250788123456.0 is a phone number that went through a spreadsheet.
_FRACTION = "[0-9]+\\.[0-9]*[1-9][0-9]*(?:[eE][+-]?[0-9]+)?"
#: What looks like a run of digits and is none. Beside further digits it may be a part of one, so it must stand alone.
_HARMLESS = "|".join(
    [
        f"{_date(2)}[T{_BLANK}]{{1,2}}{_TIME}",
        "(?:19|20)\\d{6}T\\d{4}(?:\\d\\d)?(?:[.,]\\d{1,9})?(?!\\d)",
        f"{_date(4)}(?: ?[-\u2013/ ] ?{_date(6)})?{_NO_MORE_NEAR}",
        "\\d{1,2}:\\d\\d:\\d\\d[.,]\\d{1,9}(?!\\d)",
        f"(?:19|20)\\d\\d ?[-\u2013/] ?(?:19|20)\\d\\d{_NO_MORE}",  # from one year to another
        f"\\d\\.\\d++(?:[{_BLANK}]++\\d\\.\\d++)*+{_NO_MORE}",  # confidences; not 0788.123456
        f'(?:(?<=":)|(?<=": )|(?<=":-)|(?<=": -)){_FRACTION}(?=[,}}])',
        f"{_AMOUNT}(?=[{_BLANK}]?(?:{_CURRENCY}))",
    ]
)
_AMOUNT_BEHIND_CURRENCY = f"(?<!\\w)(?:{_CURRENCY})[{_BLANK}]?{_AMOUNT}"
_OPEN = f"(?:[(\uff08](?=[+\uff0b]?{_DIGIT}{{1,5}}[)\uff09]))?"  # "(078)", not the bracket of a whole sentence
_RUN = f"[+\uff0b]?{_OPEN}[+\uff0b]?{_DIGIT}(?:[{_BETWEEN}]{{0,4}}{_DIGIT})*+"
_NUMBERS = re.compile(f"((?a:(?<!\\d)(?:{_HARMLESS})|{_AMOUNT_BEHIND_CURRENCY}))|(?P<run>{_RUN})")
#: Digits dictated one by one: "0, 7, 8, 8, ..."; the blank tells them from columns of a CSV line.
_ONE_BY_ONE = f"{_DIGIT}(?:[,.;\\-]?[{_SPACE}]{{1,3}}{_DIGIT}){{{SPOKEN_RUN - 1}}}"
_DICTATED = re.compile(f"(?<!\\w){_ONE_BY_ONE}(?:[,.;-]?[{_SPACE}]{{1,3}}{_DIGIT}(?!\\w))*+(?!\\w)")
_LONGEST_PHONE = 17  # digits: 15 (E.164) and the prefix 00


_ANY_BLANK = re.compile(f"[{_BLANK}]")


def _without_numbers(text: str) -> str:
    return _DICTATED.sub("[NUMBER]", _NUMBERS.sub(_number_mark, text))


def _number_mark(found: re.Match[str]) -> str:
    run = found["run"]
    if run is None:
        return found[0]
    digits = "".join(c for c in run if c.isdecimal())
    if len(digits) < LONG_RUN:
        return run
    if _is_phone(_ANY_BLANK.sub(" ", run), len(digits)):  # phonenumbers does not know the blanks of French typography
        return "[PHONE]"
    return "[CARD]" if _is_card(digits) else "[NUMBER]"


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


# -- digits, spoken ----------------------------------------------------------------------------------------------------

_UNITS = frozenset(
    "zero oh o nought one two three four five six seven eight nine "  # English
    "z\u00e9ro un une deux trois quatre cinq sept huit neuf "  # French
    "zeru rimwe kabiri gatatu kane gatanu gatandatu karindwi umunani icyenda "  # Kinyarwanda, counting
    "imwe ebyiri eshatu enye eshanu esheshatu indwi ndwi "  # Kinyarwanda, counting things
    "sifuri moja mbili tatu nne tano sita saba nane tisa".split()  # Swahili
)
_ZEROS = ("0", "zero", "z\u00e9ro", "oh", "zeru", "sifuri")
_UNIT = _words(*sorted(_UNITS, key=lambda word: (-len(word), word)))
_TEEN = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TEN = "twenty|thirty|fou?rty|fifty|sixty|seventy|eighty|ninety"
_FRENCH_TEEN = "dix|onze|douze|treize|quatorze|quinze|seize"
_FRENCH_TEN = "vingts?|trente|quarante|cinquante|soixante"
_HYPHEN = f"[{_SPACE}\\-]{{1,3}}"
_TWO_DIGITS = (
    f"(?:quatre{_HYPHEN}vingts?|{_FRENCH_TEN})(?:{_HYPHEN}et)?"
    f"{_HYPHEN}(?:dix{_HYPHEN}(?:sept|huit|neuf)|{_FRENCH_TEEN}|{_UNIT})"
    f"|quatre{_HYPHEN}vingts?|dix{_HYPHEN}(?:sept|huit|neuf)|(?:{_TEN}){_HYPHEN}(?:{_UNIT})"
    f"|{_TEEN}|{_TEN}|{_FRENCH_TEEN}|{_FRENCH_TEN}"
)
_ISO_DATE = "(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_SPOKEN_TOKEN = re.compile(
    f"(?<!\\w)(?:(?P<figures>(?!{_ISO_DATE}){_DIGIT}{{1,4}})|(?ai:(?P<two>{_TWO_DIGITS})"
    f"|(?:(?P<double>double|deux{_GAP}fois)|(?P<triple>triple|treble|trois{_GAP}fois)){_HYPHEN}(?:{_UNIT}|{_DIGIT})"
    f"|{_UNIT}))(?!\\w)"
)
_PAUSE = f"[{_SPACE},.;\\-\u2010-\u2015]{{1,4}}"
_FILLED_PAUSE = "uh|um|er|euh|and|then|et|puis|na|dash|hyphen|space"
_SPOKEN_GAP = re.compile(f"{_PAUSE}(?:(?ai:{_FILLED_PAUSE}){_PAUSE})?")


def _without_spoken_numbers(text: str) -> str:
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


# -- text --------------------------------------------------------------------------------------------------------------

_PASSES = 5  # a mark may uncover what stood beside it; three passes are the most that the property tests met


def suspicious(expression: str) -> str:
    """DuckDB SQL, true for every text that :func:`redact` or ``records.redact_json`` would change; false for null.

    It is true of some harmless texts too; docs/privacy.md says of how many.
    """
    if name_finders():
        return f"coalesce({expression} <> '', false)"
    reduced = f"regexp_replace({expression}, '{_PLAIN_MEMBERS}', '\"\"\\1', 'g')"
    return (
        f"CASE WHEN regexp_matches({expression}, '{_SUSPICIOUS}') "
        f"THEN regexp_matches({reduced}, '{_SUSPICIOUS}') ELSE false END"
    )


def redact(text: str) -> str:
    """The text with a mark in place of all that this module recognises; idempotent, linear, never raises by itself."""
    for _ in range(_PASSES):
        before = text
        text = _without_spoken_emails(_without_written_emails(text))
        text = _without_names(_without_spoken_numbers(_without_numbers(text)))
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
    not_dot = _BETWEEN.replace(".", "")
    # A fraction d.ddd is a confidence, not a run; a run may begin behind dots that belong to no number.
    run = (
        f"(?:^|[^0-9.]|\\.\\.)\\.*{_DIGIT}(?:"
        f"(?:{_DIGIT}|[{not_dot}][{_BETWEEN}]{{0,3}}{_DIGIT}|\\.[{_BETWEEN}]{{1,3}}{_DIGIT})"
        f"(?:[{_BETWEEN}]{{0,4}}{_DIGIT}){{{LONG_RUN - 2}}}"
        f"|\\.{_DIGIT}+[{_BETWEEN}]{{1,4}}{_DIGIT})"
        f"|[+\uff0b][{_BETWEEN}]{{0,3}}{_DIGIT}(?:[{_BETWEEN}]{{0,4}}{_DIGIT}){{{LONG_RUN - 1}}}"  # no fraction
    )
    start = "(?:\\b|\\\\u[0-9a-f]{4})"  # a word may follow an escaped character
    word = f"{start}(?:{_UNIT}|{_TEEN}|{_TEN}|{_FRENCH_TEEN}|{_FRENCH_TEN}|double|triple|treble|fois)\\b"
    token = f"(?:{word}|{_DIGIT}{{1,4}})"
    gap = f"{_PAUSE}(?:(?:{_FILLED_PAUSE}){_PAUSE})?"
    spoken = f"{word}{gap}{token}{gap}{token}|{token}{gap}(?:{word}{gap}{token}|{token}{gap}{word})"
    email = (
        f"{_AT_SIGN}|[(\\[]at[)\\]]|(?:{start}(?:at|arobase?)|{_A_GRAVE}{_GAP}commercial){_GAP}"
        f"(?:(?:{_PROVIDER})|[^{_SPACE}]+(?:\\.(?:{_TOP_LEVEL})|{_GAP}(?:dot|point)\\b|[{_BLANK}]{{0,3}}[(\\[]dot))"
    )
    fillers = "|".join(sorted(_FILLERS))
    names = (
        f"{start}(?:{_CUE}|(?:{_CUE_IF_TAIL})\\b[\\s\\S]*(?:{_TAIL})"
        f"|(?-i:{_CUE_IF_CAPITAL})[{_OPENING}]{{1,6}}(?:(?:{fillers})[{_OPENING}]{{1,6}})*(?-i:[^a-z0-9{_OPENING}]))"
    )
    escape = "\\\\(?:[/bfnrt]|u(?:00[0-7aA]|0[1-9a-fA-F]|[^0]))"  # not \", \\ and the accents of Western Europe
    pattern = f"(?i)(?:{run}|{_ONE_BY_ONE}|{spoken}|{email}|{names}|{escape})"
    for accented, code in ((_E_ACUTE, "[ce]9"), (_A_GRAVE, "[ce]0")):
        pattern = pattern.replace(accented, f"{accented[:-1]}|\\\\u00{code})")
    return pattern


_SUSPICIOUS = _suspicious_pattern().replace("'", "''")
#: Values in JSON whose digits mean nothing. Without this second look every document with a time stamp is a suspect.
_PLAIN_MEMBERS = (
    f'"{_ISO_DATE}'
    '(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"'
    f'|": ?-?{_FRACTION}(}}|, ?")'
)
