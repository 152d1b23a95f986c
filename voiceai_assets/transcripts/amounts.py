"""Sums of money in cleaned text, in figures or in words.

Belongs here: value and currency. Does not belong here: what a sum is for, or who named it.

A number without a currency is no sum ("for 3 months", "2 people"). "$" and "dollars" are read as USD unless a country
stands before them; bare francs and shillings are of several countries, so their currency is unknown (None).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Amount:
    """A sum of money at text[start:end]; never negative; currency in ISO 4217, or None where the words do not say."""

    value: Decimal
    currency: str | None
    start: int
    end: int


#: Above this a number is a reference number or nonsense; ``numeric(18,6)`` ends at the same place.
LARGEST = Decimal(10) ** 11

_CODES = "usd eur gbp chf cad aud jpy inr ngn zar ghs rwf kes ugx tzs bif cdf".split()
_PREFIXES = {
    "us$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY",
    "₦": "NGN", "₹": "INR", "frw": "RWF", "rf": "RWF", "ksh": "KES", "ush": "UGX", "tsh": "TZS",
    **{code: code.upper() for code in _CODES},
}  # fmt: skip
_SUFFIXES = {
    r"(?:us|american) dollars?": "USD", r"canadian dollars?": "CAD", r"australian dollars?": "AUD",
    r"dollars?": "USD", r"bucks?": "USD", r"euros?": "EUR", r"pounds?(?: sterling)?": "GBP", r"quid": "GBP",
    r"swiss francs?": "CHF", r"rwandan francs?": "RWF", r"francs?": None,
    r"kenyan shillings?": "KES", r"ugandan shillings?": "UGX", r"tanzanian shillings?": "TZS", r"shillings?": None,
    r"naira": "NGN", r"rands?": "ZAR", r"rupees?": "INR", r"yen": "JPY", r"cedis?": "GHS",
    **{re.escape(sign): currency for sign, currency in _PREFIXES.items()},
}  # fmt: skip

_ONES = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split(),
        range(20),
        strict=True,
    )
)
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}

_FIGURES = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d{1,6})?(?!\d)"  # 1,200.50
    r"|\d{1,3}(?:\.\d{3})+,\d{2}(?!\d)"  # 1.200,50
    r"|\d{1,11}(?:[.,]\d{1,2})?(?!\d)"  # 1200.50 and 1200,50
)
_WORD = "|".join([*_ONES, *_TENS, *_SCALES])
_WORDS = rf"(?:a (?=hundred|thousand|million)|(?:{_WORD})\b)(?:[ -](?:and )?(?:{_WORD})\b)*"
_SCALE = r"(?: ?(?P<{0}>k|thousand|million)\b)?"
_AMOUNT = re.compile(
    rf"(?<![\w$€£])(?P<prefix>{'|'.join(sorted(map(re.escape, _PREFIXES), key=len, reverse=True))})\.? ?"
    rf"(?P<after>{_FIGURES}){_SCALE.format('scale')}"
    rf"|(?<![\w.,])(?P<before>{_FIGURES}){_SCALE.format('scale_before')} ?"
    rf"(?P<suffix>{'|'.join(_SUFFIXES)})(?!\w)"
    rf"|\b(?P<words>{_WORDS}) (?P<suffix_of_words>{'|'.join(_SUFFIXES)})(?!\w)",
    re.ASCII,
)
_CENTS = re.compile(rf" (?:and )?(?:(?P<figures>\d{{1,2}})|(?P<words>{_WORDS})) cents?\b", re.ASCII)


def amounts(text: str) -> list[Amount]:
    """Every sum of money in a cleaned text, in order."""
    return [amount for match in _AMOUNT.finditer(text) if (amount := _read(match, text)) is not None]


def _read(match: re.Match[str], text: str) -> Amount | None:
    currency: str | None
    if match["prefix"] is not None:
        value, currency = _figures(match["after"], match["scale"]), _PREFIXES[match["prefix"]]
    elif match["before"] is not None:
        value, currency = _figures(match["before"], match["scale_before"]), _of_suffix(match["suffix"])
    else:
        value, currency = Decimal(_in_words(match["words"])), _of_suffix(match["suffix_of_words"])
    end = match.end()
    if cents := _CENTS.match(text, end):
        more = int(cents["figures"]) if cents["figures"] else _in_words(cents["words"])
        value, end = value + Decimal(min(more, 99)) / 100, cents.end()
    return Amount(value, currency, match.start(), end) if value < LARGEST else None


def _figures(digits: str, scale: str | None) -> Decimal:
    plain = digits
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{2}", digits) or re.fullmatch(r"\d+,\d{1,2}", digits):
        plain = digits.replace(".", "").replace(",", ".")
    return Decimal(plain.replace(",", "")) * {None: 1, "k": 1_000}.get(scale, _SCALES.get(scale or "", 1))


def _of_suffix(word: str) -> str | None:
    return next(currency for pattern, currency in _SUFFIXES.items() if re.fullmatch(pattern, word))


def _in_words(words: str) -> int:
    """The number of "one hundred and twenty" (120), "fifteen hundred" (1500), "two thousand five hundred" (2500)."""
    total = current = 0
    for word in re.split(r"[ -]", words):
        if word in _SCALES and _SCALES[word] > 100:
            total += max(current, 1) * _SCALES[word]
            current = 0
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            current += _ONES.get(word, 0) + _TENS.get(word, 0)
    return total + current
