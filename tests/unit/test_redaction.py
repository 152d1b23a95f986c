"""Redaction: what goes, what stays, and that the cheap suspicion never misses what the careful step would change."""

from __future__ import annotations

import base64
import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from voiceai_assets.privacy import numbers, redaction
from voiceai_assets.privacy.numbers import REGIONS
from voiceai_assets.privacy.records import redact_json, redact_record, redact_row
from voiceai_assets.privacy.redaction import redact, suspects

THOROUGH = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

RECOGNISED = [
    # phone numbers
    ("call +250 788 123 456 now", "call [PHONE] now"),
    ("0788123456", "[PHONE]"),
    ("(078) 812-3456", "[PHONE]"),
    ("07 88 12 34 56", "[PHONE]"),
    ("0788.123.456 or +256 772 123456", "[PHONE] or [PHONE]"),
    ("00250788123456", "[PHONE]"),
    ("tel:0788123456", "tel:[PHONE]"),
    ("(my line is 0788\u00a0123\u202f456)", "(my line is [PHONE])"),
    ("0 7 8 8 1 2 3 4 5 6", "[PHONE]"),
    ("0, 7, 8, 8, 1, 2, 3, 4, 5, 6", "[NUMBER]"),
    ("\u0660\u0667\u0668\u0668 \u0661\u0662\u0663 \u0664\u0665\u0666", "[PHONE]"),
    ("\u09e6\u09ed\u09ee\u09ee\u09e7\u09e8\u09e9\u09ea\u09eb\u09ec", "[PHONE]"),  # Bengali
    ("".join(chr(0x1D7CE + int(digit)) for digit in "0788123456"), "[PHONE]"),  # mathematical bold
    *(
        (f"0788{unseen}123{unseen}456", "[PHONE]")
        for unseen in "\u200c\u200d\u200e\u200f\u2060\u00ad\u2066\u061c\ufe0f"
    ),
    ("0788\u00b7123\u00b7456", "[PHONE]"),
    ("\ufe0f\u20e3".join("0788123456"), "[PHONE]"),  # keycaps
    # cards, ids, other long runs
    ("card 4111-1111-1111-1111", "card [CARD]"),
    ("3782 822463 10005", "[CARD]"),
    *((mark.join(["card 4111", "1111", "1111", "1111"]), "card [CARD]") for mark in "_:\t"),
    ("3782_822463_10005", "[CARD]"),
    ("my passport is PC123456", "my passport is [NUMBER]"),
    ("passport number: pc1234567, yes", "passport number: [NUMBER], yes"),
    ("mon passeport num\u00e9ro 12AB34567", "mon passeport num\u00e9ro [NUMBER]"),
    ("indangamuntu ni 1199080", "indangamuntu ni [NUMBER]"),
    ("1 1990 8 0012345 6 78", "[NUMBER]"),
    ("order 987654321098", "order [NUMBER]"),
    ("250788123456.0", "[NUMBER]"),
    ("192.168.100.101", "[NUMBER]"),
    # e-mail
    ("write to jane.doe@example.org please", "write to [EMAIL] please"),
    ("Jane <j_doe+x@mail.example.co.rw>", "Jane <[EMAIL]>"),
    ("jane@gmail", "[EMAIL]"),
    ("jane @ gmail . com", "[EMAIL]"),
    ("jane dot doe at gmail dot com", "[EMAIL]"),
    ("my email is jane underscore doe seven at gmail dot com", "my email is [EMAIL]"),
    ("j a n e at yahoo dot com thanks", "[EMAIL] thanks"),
    ("jane doe at gmail", "[EMAIL]"),
    ("jane (at) gmail (dot) com", "[EMAIL]"),
    ("jane point doe arobase gmail point com", "[EMAIL]"),
    ("email me at jane dot doe at irembo dot rw", "email me at [EMAIL]"),
    # spoken digits
    ("zero seven eight eight one two three four five six", "[NUMBER]"),
    ("it is oh seven double eight, one two three, four five six ok", "it is [NUMBER] ok"),
    ("oh 788 123 456", "oh [NUMBER]"),
    ("zero 788 one two three four five six", "[NUMBER]"),
    ("zero seven eighty eight twelve thirty four", "[NUMBER]"),
    ("triple five triple six one", "[NUMBER]"),
    ("z\u00e9ro sept quatre-vingt-huit douze trente-quatre", "[NUMBER]"),
    ("Z\u00c9RO SEPT HUIT HUIT UN DEUX TROIS", "[NUMBER]"),
    ("zeru karindwi umunani umunani rimwe kabiri gatatu", "[NUMBER]"),
    ("sifuri saba nane nane moja mbili tatu", "[NUMBER]"),
    # names behind cues
    ("my name is jane doe and i need help", "my name is [NAME] and i need help"),
    ("my name is Dr. Uwase Aline", "my name is [NAME]"),
    ("my name is dr.uwase aline and", "my name is [NAME] and"),
    ("I'm Dr. Uwase. Hello", "I'm [NAME]. Hello"),
    ("I'm dr. Uwase", "I'm [NAME]"),
    ("I am Prof. J. Uwase", "I am [NAME]"),
    ("my name is Mr. Habimana", "my name is [NAME]"),
    ("nitwa Dr. Uwase", "nitwa [NAME]"),
    ("je m'appelle Mme. Uwase Aline", "je m'appelle [NAME]"),
    ("je m'appelle M. Habimana", "je m'appelle [NAME]"),
    ("je suis M. Habimana", "je suis [NAME]"),
    ("my husband's name is jean", "my husband's name is [NAME]"),
    ("my mother\u2019s maiden name was Uwase", "my mother\u2019s maiden name was [NAME]"),
    ("surname is uwase", "surname is [NAME]"),
    ("first name Jean last name Uwase", "first name [NAME] last name [NAME]"),
    ("bonjour je suis Jean et", "bonjour je suis [NAME] et"),
    ("moi, c'est Jean", "moi, c'est [NAME]"),
    ("muraho ndi Uwase Marie ndashaka", "muraho ndi [NAME] ndashaka"),
    ("My name is Jean de Dieu Habimana. Hello", "My name is [NAME]. Hello"),
    ("MY NAME IS JANE DOE AND I WAIT", "MY NAME IS [NAME] AND I WAIT"),
    ("my full name is: uh Jane", "my full name is: uh [NAME]"),
    ("my name is j a n e", "my name is [NAME]"),
    ("my name is Uwase, Jane and", "my name is [NAME] and"),
    ("hello this is jane doe speaking", "hello this is [NAME] speaking"),
    ("I am called Jane", "I am called [NAME]"),
    ("I'm Jane and", "I'm [NAME] and"),
    ("you are speaking with Robert", "you are speaking with [NAME]"),
    ("je m\u2019appelle Jean-Paul et je", "je m\u2019appelle [NAME] et je"),
    ("c'est Jean \u00e0 l'appareil", "c'est [NAME] \u00e0 l'appareil"),
    ("mon pr\u00e9nom est Aline", "mon pr\u00e9nom est [NAME]"),
    ("muraho nitwa Uwase Marie ndashaka icyangombwa", "muraho nitwa [NAME] ndashaka icyangombwa"),
    ("amazina yanjye ni mugabo eric", "amazina yanjye ni [NAME]"),
    ("jina langu ni juma nataka", "jina langu ni [NAME] nataka"),
]

HARMLESS = [
    "I have 3 children and 12 cows",
    "it costs 1,250 francs",
    "12,500,000 francs a year",
    "12 500 000 francs",
    "RWF 12 500 000",
    "bill 1234567",
    "at 10:30 or 11:45",
    "born on 2026-08-01",
    "born on 01/08/2026. 3 copies",
    "from 2026-08-01 to 2026-08-31",
    "2026-08-01T10:30:00.123456Z and 2026-08-01 10:30",
    "2026-08-01, two people",
    "in 2019 and 2020 two people",
    "10:30:00 11:45:00 12:15:30",
    "2026:08:01 2026_08_01_1030",
    "1200_3400_5600_7800",
    "a passport in 2026 or 2027",
    "passport office at 10:30",
    "my last name is not there",
    "je suis un homme, moi c'est pareil",
    "ndi mu rugo",
    "I'm a doctor",
    "the season 2019-2020",
    "flight 1234",
    "confidence 0.87654321",
    "0.87 0.91 0.99",
    "rooms 12, 13, 14, 15",
    "two hundred and fifty thousand three hundred",
    "one two three go",
    "[PHONE_REDACTED] and [EMAIL]",
    "at that point in time I was",
    "apply at irembo dot gov dot rw",
    "visit us at irembo.gov.rw",
    "my name is not on the list",
    "what is your name",
    "witwa nde",
    "call me back tomorrow",
    "I'm looking for this",
    "this is not working",
    "thank you for calling",
    "je suis \u00e0 la maison",
    "KK 15 Ave 123, house 45",
]


def suspected(texts: Sequence[str]) -> list[bool]:
    return suspects(pa.array(texts, pa.string())).to_pylist()


# -- examples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), RECOGNISED)
def test_what_is_recognised_goes(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


def test_suspicion_knows_the_digits_of_every_script() -> None:
    digits = [c for c in map(chr, range(0x110000)) if c.isdecimal()]
    assert all(suspected([10 * digit for digit in digits]))
    assert {redact(f"0{9 * digit}") for digit in digits} <= {"[NUMBER]", "[PHONE]"}


def test_suspicion_covers_the_examples() -> None:
    assert all(suspected([text for text, _ in RECOGNISED]))
    assert suspected([]) == []


def test_time_stamps_and_fractions_in_json_are_not_suspected_beside_a_phone_number() -> None:
    harmless = '{"at": "2026-08-01T10:00:00.123456Z", "share": 0.12345678, "n": 1}'
    assert suspected([harmless, "harmless", '{"phone": "0788 123 456"}']) == [False, False, True]


def test_valid_is_the_right_leniency() -> None:
    """POSSIBLE would call bills, years and amounts phone numbers."""

    def alarms(leniency: int) -> int:
        return sum(
            any(phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency).has_next() for region in REGIONS)
            for text in HARMLESS
        )

    found = (alarms(phonenumbers.Leniency.VALID), alarms(phonenumbers.Leniency.POSSIBLE))
    print(f"false alarms in {len(HARMLESS)} harmless texts: VALID {found[0]}, POSSIBLE {found[1]}")
    assert found[0] < found[1]


# -- properties ------------------------------------------------------------------------------------------------------

_DIGIT_WORDS = {
    "en": "zero one two three four five six seven eight nine",
    "fr": "z\u00e9ro un deux trois quatre cinq six sept huit neuf",
    "rw": "zeru rimwe kabiri gatatu kane gatanu gatandatu karindwi umunani icyenda",
    "sw": "sifuri moja mbili tatu nne tano sita saba nane tisa",
}
_PIECES = st.sampled_from(
    [
        *"0 7 12 078 0788 123456 12345678 +250 (078) 4111 2026-08-01 10:30:00.123456".split(),
        *"0.87 0.87654321 12.5 1,250".split(),
        *"zero oh seven double triple twenty dix quatre vingt et soixante karindwi saba and uh".split(),
        *"at dot point (at) [dot] gmail irembo.rw com @ jane.doe jane@x.rw arobase dash \u00e0 commercial".split(),
        *"my name is her Name's i am called I'm I this it's speaking calling nitwa je m'appelle m\u2019appelle".split(),
        *"amazina yanjye ni jina langu mon pr\u00e9nom est c'est \u00e0 l'appareil ici Call me".split(),
        *"Jane jane DOE Uwase de Jean-Paul \u00c9lodie a J. please kandi spelled".split(),
        *"francs RWF $ [NAME] [PHONE_REDACTED] user_id phone \u0660\u0661 \uff11\uff12 \u09e6\u09ed \U0001d7ce".split(),
        *"Dr. dr Mme. M. sir husband's surname last moi suis ndi passport no n\u00b0 PC123456 4111_1111".split(),
    ]
)
_GAPS = st.sampled_from(
    [" "] * 8
    + [
        *'. , ; : - / \\ " { } [ ] = \u2019 _ \u00a0 \u202f \n \t \u200c \u00b7 \u00ad'.split(" "),
        "",
        "  ",
        ". ",
        ", ",
        " - ",
        '": ',
        ":",
    ]
)
_SENTENCES = st.lists(st.tuples(_PIECES, _GAPS), max_size=12).map(lambda parts: "".join(a + b for a, b in parts))
_TEXTS = _SENTENCES | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


_KEYS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "customer.", "Call", '"', "\u00e9", "\u0130", "[NAME]", "0788123456"]),
        st.sampled_from(
            [
                "userId",
                "User_Name",
                "user",
                "name",
                "NAME",
                "phone",
                "p-h-o-n-e",
                "use\\r id",
                "\u017fubscriber",
                "pr\u00e9nom",
            ]
        ),
        st.sampled_from(["", "_", " ", "\t", "\u00e9", "[PHONE]", "s", "_s1", "\u00e9s", "2"]),
    ),
)


@THOROUGH
@given(st.lists(_TEXTS, min_size=1, max_size=40))
def test_what_redaction_would_change_is_suspicious(texts: list[str]) -> None:
    for text, is_suspect in zip(texts, suspected(texts), strict=True):
        assert is_suspect or redact(text) == text


@THOROUGH
@given(st.data())
def test_what_redaction_would_change_in_json_is_suspicious(data: st.DataObject) -> None:
    numbers = st.integers(-(10**13), 10**13) | st.floats(allow_nan=False, allow_infinity=False)
    leaves = _TEXTS | numbers | st.sampled_from([None, True, "2026-08-01T10:00:00.123456+02:00", 250788123456.0])
    inside = st.dictionaries(_TEXTS | _KEYS, leaves, max_size=2).map(json.dumps)
    tones = st.lists(st.integers(0, 9) | st.sampled_from(["0", "7", "#", "\u0663"]), min_size=6, max_size=9)
    tones |= st.lists(st.sampled_from(["078", "+250", "812345", "7", "\u0663\u0664", "1990"]), min_size=2, max_size=5)
    value = st.recursive(
        leaves | inside | tones | tones.map(json.dumps) | tones.map(functools.partial(json.dumps, indent=1)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS | _KEYS, inner, max_size=3),
    )
    values = data.draw(st.lists(value, min_size=1, max_size=15))
    style: dict[str, Any] = data.draw(
        st.fixed_dictionaries(
            {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (", ", ": ")])}
        )
    )
    documents = [json.dumps(value, **style) for value in values]
    for document, is_suspect in zip(documents, suspected(documents), strict=True):
        clean = redact_json(document)
        json.loads(clean)
        assert redact_json(clean) == clean
        assert is_suspect or clean == document


@THOROUGH
@given(_TEXTS)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    for function in (redact, redact_json, redact_record):
        once = function(text)
        assert function(once) == once


def _grouped(digits: str, cuts: list[int], gaps: list[str]) -> str:
    pieces, start = [], 0
    for cut, gap in zip(sorted(cuts), gaps, strict=False):
        pieces += [digits[start:cut], gap if start < cut < len(digits) else ""]
        start = max(start, cut)
    return "".join([*pieces, digits[start:]])


_SPELLED = st.builds(
    _grouped,
    st.tuples(
        st.sampled_from(["078", "079", "072", "073", "25078", "0025079", "+25072", "+33612", "+1425"]),
        st.text("0123456789", min_size=7, max_size=7),
    ).map("".join),
    st.lists(st.integers(2, 14), max_size=5, unique=True),
    st.lists(st.sampled_from([" ", "-", ".", " - ", "\u00a0", "/", "  ", ") "]), min_size=5, max_size=5),
)
_AROUND = st.sampled_from(["", " ", "call ", "tel:", "(", "my number is ", "+", ", ", "\n", "no.", "x"])


def _survives(secret: str, text: str) -> bool:
    """Whether four digits in a row of the secret can still be read, whatever stands between them."""
    digits = "".join(c for c in secret if c.isdecimal())
    left = "".join(c for c in text if c.isdecimal())
    return any(digits[n : n + 4] in left for n in range(len(digits) - 3))


@THOROUGH
@given(_AROUND, _SPELLED, _AROUND)
@example("", "+2.50720000000", "")
def test_a_phone_number_never_survives_however_it_is_spelled(before: str, number: str, after: str) -> None:
    text = f"{before}{number}{after}"
    assert not _survives(number, redact(text))
    assert not _survives(number, redact_record(json.dumps({"note": text})))
    assert suspected([text]) == [True]


@THOROUGH
@given(st.text(st.sampled_from("abc ,."), max_size=20), st.text("0123456789", min_size=8, max_size=30))
def test_a_long_run_of_digits_never_survives_wherever_it_stands(around: str, number: str) -> None:
    assert number not in redact(f"{around}{number}{around}")


@THOROUGH
@given(st.text("0123456789", min_size=12, max_size=18), st.sampled_from(["", " ", "-"]))
def test_a_card_number_is_a_card_or_a_phone_number(digits: str, gap: str) -> None:
    check = next(c for c in "0123456789" if numbers._is_card(digits + c))
    card = digits + check
    text = gap.join(card[n : n + 4] for n in range(0, len(card), 4))
    assert redact(f"card {text}.") in {"card [CARD].", "card [PHONE]."}


_LOCAL = st.from_regex(r"[a-z][a-z0-9_.+-]{0,20}[a-z0-9]", fullmatch=True)
_HOST = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9](\.[a-z]{2,5}){1,2}", fullmatch=True)


@THOROUGH
@given(_AROUND, _LOCAL, _HOST, st.sampled_from(["", " ", ".", ",", ">"]))
def test_an_address_never_survives(before: str, local: str, host: str, after: str) -> None:
    text = f"{before}{local}@{host}{after}"
    clean = redact(text)
    assert "@" not in clean
    assert "[EMAIL]" in clean
    assert suspected([text]) == [True]


@THOROUGH
@given(
    st.lists(st.from_regex(r"[a-z]{4,9}", fullmatch=True), min_size=1, max_size=3),
    st.sampled_from(["dot", "underscore", "dash"]),
    st.sampled_from(["gmail dot com", "yahoo dot fr", "irembo dot gov dot rw", "gmail.com"]),
)
def test_a_spoken_address_never_survives(words: list[str], joiner: str, host: str) -> None:
    local = f" {joiner} ".join([*words, "smith"])
    assert redact(f"send it to {local} at {host} please") == "send it to [EMAIL] please"


@THOROUGH
@given(
    st.sampled_from(sorted(_DIGIT_WORDS)),
    st.text("0123456789", min_size=7, max_size=16),
    st.lists(st.sampled_from([" ", " ", ", ", " uh ", "-", "... "]), min_size=16, max_size=16),
    st.booleans(),
)
def test_spoken_digits_never_survive(language: str, digits: str, gaps: list[str], doubles: bool) -> None:
    words = [_DIGIT_WORDS[language].split()[int(digit)] for digit in digits]
    spoken, n = "", 0
    while n < len(words):
        is_double = doubles and language == "en" and words[n : n + 2] == [words[n]] * 2
        spoken += f"{gaps[n] if n else ''}{'double ' if is_double else ''}{words[n]}"
        n += 2 if is_double else 1
    text = f"my number: {spoken} please"
    assert redact(text) == "my number: [NUMBER] please"
    assert suspected([text]) == [True]


@THOROUGH
@given(st.sampled_from(["my name is", "I am called", "nitwa", "je m'appelle", "naitwa"]), st.booleans())
def test_a_name_behind_a_cue_never_survives(cue: str, is_capitalised: bool) -> None:
    name = "Immaculate Uwase" if is_capitalised else "immaculate uwase"
    assert redact(f"hello {cue} {name}, and") == f"hello {cue} [NAME], and"


# -- JSON and records ------------------------------------------------------------------------------------------------


def test_a_redacted_document_is_still_json() -> None:
    document = json.dumps(
        {
            "phone": 250788123456,
            "whole": 250788123456,
            "float": 250788123456.0,
            "share": 0.123456789,
            "seconds": -12.3456789012,
            "deep": [{"note": "a@b.rw", "ok": True}],
            "12345678": 1,
            "quoted": 'a "b" \\ \u00e9 0788123456',
            "half": "\ud800 0788123456",
        }
    )
    clean = redact_json(document)
    assert json.loads(clean) == {
        "phone": "[USER]",
        "whole": "[NUMBER]",
        "float": "[NUMBER]",
        "share": 0.123456789,
        "seconds": -12.3456789012,
        "deep": [{"note": "[EMAIL]", "ok": True}],
        "[NUMBER]": 1,
        "quoted": 'a "b" \\ \u00e9 [PHONE]',
        "half": "\ud800 [PHONE]",
    }
    clean.encode()


@pytest.mark.parametrize(
    "key",
    [
        *["userId", "User_Name", "customer.name", "customerName", "user_id", "phone-number", "CallerID", "u.s.e.r"],
        *["phone_2", "phoneNumber1", "caller1_name", "customer", "amazina", "izina", "telefone", "nimero ya telefone"],
        *["pr\u00e9nom", "PR\u00c9NOM", "pre\u0301nom", "pr\\u00e9nom", "Num\u00e9ro de t\u00e9l\u00e9phone"],
        *["pr\u00e8nom", "\u00fcser", "nam\u0113", "\\u006ea\\u0304me", "\uff55\uff53\uff45\uff52"],
    ],
)
@pytest.mark.parametrize("shape", ['{"%s": "abc"}', '{"a": [{"%s" : {"b": ["abc", 7]}}]}', '{"%s":7, "b": 1}'])
def test_a_document_loses_the_values_of_keys_that_name_a_person_however_they_are_spelled(key: str, shape: str) -> None:
    document = shape % key
    clean = redact_json(document)
    assert suspected([document]) == [True]
    assert "[USER]" in clean
    assert "abc" not in clean
    assert "7" not in clean
    assert redact_json(clean) == clean


@pytest.mark.parametrize("key", ["customers", "callers", "user_ids", "phone_numbers", "Phones", "email_addresses"])
@pytest.mark.parametrize("value", ['["Uwase", 12345]', '[{"first": "Uwase", "n": 12345}]', '"Uwase 12345"'])
def test_a_key_that_names_several_people_hides_them_but_not_how_many_they_are(key: str, value: str) -> None:
    document = f'{{"{key}": {value}, "n": 1}}'
    clean = redact_json(document)
    assert suspected([document]) == [True]
    assert "Uwase" not in clean
    assert "12345" not in clean
    assert redact_json(clean) == clean
    assert redact_json(counted := f'{{"{key}": 12, "n": 1}}') == counted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([0, 7, 8, 8, 1, 2, 3, 4, 5, 6], ["[NUMBER]"]),
        (["0", "7", "8", "8", "1", "2", "3", "#"], ["[NUMBER]"]),
        ([[0, 7, 8, 8, 1, 2, 3], "a"], [["[NUMBER]"], "a"]),
        ('{"keys": ["0", "7", "8", "8", "1", "2", "3"]}', '{"keys": ["[NUMBER]"]}'),
        ([0, 7, 8, 8, 1, 2], [0, 7, 8, 8, 1, 2]),
        ([0.5, 7, 8, 8, 1, 2, 3, 4], [0.5, 7, 8, 8, 1, 2, 3, 4]),
        ([12, 7, 8, 8, 1, 2, 3, 4], [12, 7, 8, 8, 1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_digits_one_by_one_in_a_list_are_a_number(value: Any, expected: Any, separators: tuple[str, str]) -> None:
    document = json.dumps({"dtmf": value}, separators=separators)
    clean = redact_json(document)
    assert json.loads(clean) == {"dtmf": expected}
    assert suspected([document]) == [True] or clean == document
    assert redact_json(clean) == clean


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["078", "812", "3456"], ["[PHONE]"]),
        (["+250", "788", "123", "456"], ["[PHONE]"]),
        (["0000", "81", "3456"], ["[NUMBER]"]),  # of nobody, but it begins like one
        (["4111", "1111", "1111", "1111"], ["[CARD]"]),
        (["1", "1990", "8", "0123456", "7", "89"], ["[NUMBER]"]),
        ([["078", "812", "3456"], "a"], [["[PHONE]"], "a"]),
        (["2023", "2024", "2025", "2026"], ["2023", "2024", "2025", "2026"]),
        (["120", "340", "95", "410"], ["120", "340", "95", "410"]),
        ([120, 340, 95, 410], [120, 340, 95, 410]),
        (["078", "812"], ["078", "812"]),
    ],
)
@pytest.mark.parametrize("layout", [{"separators": (",", ":")}, {"separators": (", ", ": ")}, {"indent": 2}])
@pytest.mark.parametrize("depth", [0, 1])
def test_groups_of_a_number_in_a_list_are_that_number(
    value: Any, expected: Any, layout: dict[str, Any], depth: int
) -> None:
    document = json.dumps({"keys": value}, **layout)
    if depth:
        document = json.dumps({"inner": document})
    clean = redact_json(document)
    found = json.loads(json.loads(clean)["inner"] if depth else clean)
    assert found == {"keys": expected}
    assert suspected([document]) == [True] or clean == document
    assert redact_json(clean) == clean


def test_a_document_within_a_document_is_redacted_as_one() -> None:
    document = json.dumps({"more": json.dumps({"userId": "abc", "n": 250788123456, "deep": json.dumps({"tel": "x"})})})
    clean = json.loads(redact_json(document))
    assert suspected([document]) == [True]
    assert json.loads(clean["more"]) == {"userId": "[USER]", "n": "[NUMBER]", "deep": '{"tel": "[USER]"}'}


@pytest.mark.parametrize("key", ["module_name", "user_type", "renamed", "[PHONE]", "unit"])
def test_a_key_that_names_a_thing_keeps_its_value(key: str) -> None:
    assert redact_json(document := f'{{"{key}": "abc"}}') == document


def test_what_a_key_is_called_is_judged_without_its_marks() -> None:
    clean = redact_json('{"0788123456": 3, "phone 0788123456": "abc"}')
    assert clean == '{"[PHONE]": 3, "phone [PHONE]": "[USER]"}'
    assert redact_json(clean) == clean


def test_a_harmless_document_stays_byte_for_byte() -> None:
    document = '{ "a":1.50, "b" : [1e3, 12, {"a": "\\u00e9\\/"}], "a":null }'
    assert redact_json(document) == document


def _sound(magic: bytes) -> str:
    return base64.b64encode(magic + bytes(range(256)) * 4).decode()


_SOUNDS = [
    *map(_sound, [b"RIFF$\0\0\0WAVE", b"ID3\4", b"OggS", b"fLaC", b"\0\0\0\x20ftypM4A ", b"#!AMR\n", b"\x1aE\xdf\xa3"]),
    *map(_sound, [b"\xff\xfb\x90", b"\xff\xf3\x84", b"\xff\xf1\x50", b"caff", b"FORM", b".snd"]),
    base64.encodebytes(b"RIFF$\0\0\0WAVE" + bytes(range(256)) * 4).decode().strip(),
    base64.urlsafe_b64encode(b"OggS\0" + b"\xff" * 300).decode(),
    "data:audio/wav;base64,AAAA",
    "data:audio/wav;base64," + _sound(b"anything"),
    "DATA:Video/WebM;codecs=opus;base64," + _sound(b"anything"),
    "data:application/octet-stream;base64," + _sound(b"OggS"),
]


@pytest.mark.parametrize("sound", _SOUNDS)
def test_sound_in_a_text_a_document_or_a_refused_record_goes(sound: str) -> None:
    expected = "data:application/octet-stream;base64,[AUDIO]" if "octet" in sound else "[AUDIO]"
    assert redact(f"heard {sound} 0788123456") == f"heard {expected} [PHONE]"
    plain = json.dumps({"audio": {"content": sound}, "n": 1})
    for document in (plain, plain.replace("/", "\\/")):
        assert suspected([document]) == [True]
        assert json.loads(redact_json(document)) == {"audio": {"content": expected}, "n": 1}
        assert json.loads(redact_record(document)) == {"audio": {"content": expected}, "n": 1}


@pytest.mark.parametrize(
    "text",
    [
        "data: audio is fine",
        "UklGR is a word",
        "https://host/some/path/of/sound",
        "A" * 2000,
        "file:///opt/voiceai/landing/" + "canonical/" * 40,
    ],
)
def test_what_is_no_sound_stays(text: str) -> None:
    assert redact(text) == text


def test_ten_megabytes_of_sound_go_in_time() -> None:
    sound = base64.b64encode(b"RIFF" + bytes(range(256)) * 30_000).decode()
    document = json.dumps({"audio": f"data:audio/wav;base64,{sound}", "bare": sound})
    start = time.perf_counter()
    assert suspected([document]) == [True]
    assert json.loads(redact_json(document)) == {"audio": "[AUDIO]", "bare": "[AUDIO]"}
    print(f"{len(document) / 1e6:.0f} MB of sound: {time.perf_counter() - start:.1f} s")


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 0788123456', "not json, 0788123456", '["x" 0788123456]', "[" * 100_000]
)
def test_what_is_no_json_is_redacted_all_the_same(text: str) -> None:
    assert "0788123456" not in redact_json(text)


def test_a_record_loses_the_persons_values_and_keeps_its_times() -> None:
    record = {
        "user_id": "caller-1",
        "phoneNumber": 12,
        "unit_id": None,
        "caller": {"first": "Jane", "ids": [1, "x"], "ok": True},
        "module": "land",
        "timestamp": 1785578400,
        "created_at": "2026-08-01T10:00:00.123456Z",
        "day": "01/08/2026",
        "date": "20260801",
        "user_text": "my name is jane",
        "asr_confidence": 0.87654321,
    }
    assert json.loads(redact_record(json.dumps(record))) == {
        **record,
        "user_id": "[USER]",
        "phoneNumber": "[USER]",
        "caller": {"first": "[USER]", "ids": ["[USER]", "[USER]"], "ok": True},
        "user_text": "my name is [NAME]",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "phone_number": "+2507', '{"a": 1, "phone_number": "[USER]'),
        ('{"a": 1, "phone_number": 2507', '{"a": 1, "phone_number": "[USER]"'),
        ('{"user_text": "reach me on 0788 123 4', '{"user_text": "reach me on [NUMBER]'),
        ('{"user_id": "a\\', '{"user_id": "[USER]\\'),
        ('x,"{""phone"": ""abc"", ""n"": 1}"', 'x,"{""phone"": ""[USER]"", ""n"": 1}"'),
        ('{"body": "{\\"user_id\\": \\"abc\\"}"}', '{"body": "{\\"user_id\\": \\"[USER]\\"}"}'),
        ("{'user_id': 'abc', 'n': 1}", "{'user_id': '[USER]', 'n': 1}"),
        ("INFO user_id=abc n=1", "INFO user_id=[USER] n=1"),
        (
            "2026-08-01T10:00:00.123Z,+250788123456,s1,voice,hello,0.9,12,345,678",
            "2026-08-01T10:00:00.123Z,[PHONE],s1,voice,hello,0.9,12,345,678",
        ),
        ('{"phone_number": "[PHONE_REDACTED]"}', '{"phone_number": "[PHONE_REDACTED]"}'),
    ],
)
def test_records_of_other_shapes_and_cut_off_ones(text: str, expected: str) -> None:
    assert redact_record(text) == expected


# -- name finders ----------------------------------------------------------------------------------------------------


class _Entry:
    name = "test"

    def __init__(self, finder: Callable[[str], Sequence[tuple[int, int]]]) -> None:
        self._finder = finder

    def load(self) -> Callable[[str], Sequence[tuple[int, int]]]:
        return self._finder


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def find(text: str) -> list[tuple[int, int]]:
        if "infrastructure" in text:
            raise OSError("no model")
        place = text.find("Immaculate")
        return [] if place < 0 else [(place, place + 500), (place, place + 3), (0, 7)]

    monkeypatch.setattr(redaction, "entry_points", lambda group: [_Entry(find)])
    redaction.name_finders.cache_clear()
    yield
    redaction.name_finders.cache_clear()


def test_no_name_finder_is_on_by_default() -> None:
    assert redaction.name_finders() == ()
    assert redact("Immaculate called") == "Immaculate called"


@pytest.mark.usefixtures("finder")
def test_an_installed_name_finder_sees_every_text() -> None:
    assert suspected(["Immaculate called", ""]) == [True, False]
    assert redact("[EMAIL] of Immaculate") == "[EMAIL] of [NAME]"
    assert json.loads(redact_json('{"a": "Immaculate"}')) == {"a": "[NAME]"}


@pytest.mark.usefixtures("finder")
def test_a_broken_name_finder_is_not_taken_for_no_names() -> None:
    with pytest.raises(OSError, match="no model"):
        redact("infrastructure")


# -- speed -----------------------------------------------------------------------------------------------------------

_HOSTILE = [
    *[
        "7",
        "1 ",
        "0, ",
        "@",
        "a@",
        "@a.",
        "a",
        "zero ",
        "vingt et ",
        "my name is ",
        "this is j ",
        "I am dr.",
        "my my's ",
        "passport no ",
        "1111_",
        "ici-",
        "I am J ",
    ],
    *[
        "jane at ",
        "data:audio/",
        "data:audio/a,",
        "UklGR",
        "//u\n",
        '{"userId":"',
        "at x dot y ",
        "2026-08-01 ",
        "0.1 ",
        "(",
        "+",
        "$1 ",
        '"',
        "\\",
        "[",
        '{"user_id":',
        "user_id=",
        "\n",
    ],
]


@pytest.mark.parametrize("unit", _HOSTILE)
def test_hostile_text_takes_time_in_proportion(unit: str) -> None:
    """200 kB in a second each; quadratic time would be hours, and the limit on every test's time ends it."""
    text = unit * (200_000 // len(unit))
    for function in (redact, redact_json, redact_record):
        function(text)


_STARTS = [
    *("I need a birth certificate", "please help me with a land title", "what do I do for a permit", "yes please"),
    *("il me faut un acte de naissance", "aidez-moi pour un paiement", "comment faire pour un permis", "oui merci"),
    *("nkeneye icyemezo cy'amavuko", "mumfashe kubona icyangombwa", "nakora iki kuri uruhushya", "yego murakoze"),
    *("nahitaji cheti cha kuzaliwa", "naomba msaada wa malipo", "nifanye nini kupata leseni", "ndiyo asante"),
]
_ENDS = [
    *(
        "for my son",
        "it is 12 years old",
        "at 10:30",
        "it costs 1,250 francs",
        "thank you",
        "I am looking",
        "two of them",
    ),
    *(
        "pour mon fils",
        "il a deux ans",
        "demain matin",
        "s'il vous pla\u00eet",
        "c'est cher",
        "ku murenge",
        "ejo mu gitondo",
    ),
    *("kesho asubuhi", "watoto wawili", "nifanye nini", "this is the second time", "number twelve"),
]


def test_of_a_million_turns_without_secrets_none_is_suspected() -> None:
    """Two columns, one thread; prints what it measured (pytest -s)."""
    texts = [f"{_STARTS[i % len(_STARTS)]} {_ENDS[5 * i % len(_ENDS)]}" for i in range(1_000_000)]
    columns = [pa.array(texts), pa.array(reversed(texts))]
    start = time.perf_counter()
    found = [pc.sum(suspects(column)).as_py() for column in columns]
    seconds = time.perf_counter() - start
    length = sum(map(len, texts)) / len(texts)
    print(f"{seconds:.2f} s for 2 x 1,000,000 texts of {length:.0f} characters; suspects: {found}")
    assert found == [0, 0]


HEADER = ("session_id", "phone_number", "turn", "words")


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ("s1,caller-zogo,x,hello", "s1,[USER],x,hello"),
        ("s1,caller-zogo,1,hello,one too many", "[REDACTED SHIFT]"),
        ("caller-zogo,1,hello", "[REDACTED SHIFT]"),
        ('s1,"caller-zogo",1,"he said ""hi"""', 's1,[USER],1,"he said ""hi"""'),
        ('s1,[USER],1,"open quote\ns2,caller-zogo,2,hello', None),
        ("s1,caller-zogo,1,\"{\"\"user_id\"\": \"\"caller-zogo\"\"}\"", None),
    ],
)  # fmt: skip
def test_a_refused_csv_row_loses_the_cells_that_name_a_person_also_where_it_is_shifted(
    row: str, kept: str | None
) -> None:
    cleaned = redact_row(row, HEADER, ",")
    assert "caller-zogo" not in cleaned
    assert "[USER]" in cleaned
    assert kept in {None, "[REDACTED SHIFT]", cleaned}


def test_a_csv_row_without_a_person_column_is_redacted_as_text() -> None:
    assert redact_row("s1,call 0788123456", ("session_id", "words"), ",") == "s1,call [PHONE]"


@pytest.mark.parametrize(
    ("document", "kept"),
    [
        ('{"session_id": "conv-20260801-000123"}', True),
        ('{"session_id": "1722499200123"}', True),
        ('{"a": {"flow_id": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"}}', True),
        ('{"session_id": "0788123456"}', False),
        ('{"call_id": "jane.doe@example.org"}', False),
        ('{"note": "conv-20260801-000123"}', False),
    ],
)
def test_ids_of_things_stay_in_json_unless_they_are_a_number_to_call(document: str, kept: bool) -> None:
    assert (redact_json(document) == document) is kept
