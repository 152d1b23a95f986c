"""What is said, in four languages, and the personal data planted in it: invented, of known kind and place.

Belongs here: sentences, and where a caller says a name, a number or an address. Does not belong here: who says it when.

No person, number or address is real: phone numbers come from ranges that the numbering plan knows but nobody here has
checked, cards pass Luhn's check only, mail goes to domains reserved for examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from voiceai_assets.synthetic.config import LANGUAGES, MODULES, Texts
from voiceai_assets.synthetic.dialogue import NO_ERROR, SILENCE, TECHNICAL

TOPICS: dict[str, dict[str, str]] = {
    "birth_certificate": {
        "en": "a birth certificate",
        "fr": "un acte de naissance",
        "sw": "cheti cha kuzaliwa",
        "rw": "icyemezo cy'amavuko",
    },
    "land_title": {
        "en": "a land title",
        "fr": "un titre foncier",
        "sw": "hati ya ardhi",
        "rw": "icyangombwa cy'ubutaka",
    },
    "driving_permit": {
        "en": "a driving permit",
        "fr": "un permis de conduire",
        "sw": "leseni ya udereva",
        "rw": "uruhushya rwo gutwara",
    },
    "payment": {"en": "a payment", "fr": "un paiement", "sw": "malipo", "rw": "ubwishyu"},
}
ASKS = {
    "en": ("I need {}", "please help me with {}", "what do I do for {}"),
    "fr": ("il me faut {}", "aidez-moi pour {}", "comment faire pour {}"),
    "sw": ("nahitaji {}", "naomba msaada wa {}", "nifanye nini kupata {}"),
    "rw": ("nkeneye {}", "mumfashe kubona {}", "nakora iki kuri {}"),
}
REPLIES = {
    "en": ("Noted: {}. What comes next?", "Could you say that once more?"),
    "fr": ("Bien reçu : {}. Et ensuite ?", "Pouvez-vous le redire ?"),
    "sw": ("Nimepokea: {}. Kisha nini?", "Tafadhali sema tena."),
    "rw": ("Nabyumvise: {}. Ikindi ni iki?", "Mwongere mubivuge."),
}
NAME_CUES = {"en": "my name is", "fr": "je m'appelle", "sw": "jina langu ni", "rw": "nitwa"}
FIRST_NAMES = ("Aline", "Bosco", "Chantal", "Damas", "Esperance", "Fidele", "Gaju", "Honorine")
LAST_NAMES = ("Habyambere", "Ingabirwa", "Kamanzire", "Mukasano", "Nkurikiyo", "Rutaganire", "Uwineza", "Zigamare")
_SPOKEN_DIGITS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "fr": ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
    "sw": ("sifuri", "moja", "mbili", "tatu", "nne", "tano", "sita", "saba", "nane", "tisa"),
    "rw": ("zeru", "rimwe", "kabiri", "gatatu", "kane", "gatanu", "gatandatu", "karindwi", "umunani", "icyenda"),
}
DIGITS = 15  # drawn for each piece of personal data
#: What redaction must find; ``bare_name`` it cannot, and it is planted only where asked for.
KINDS = ("phone", "email", "card", "number", "spoken_number", "name")


@dataclass(frozen=True)
class Planted:
    """Personal data that somebody says: ``value`` stands at ``start`` to ``end`` of the turn's text, in characters."""

    row: int
    kind: str
    start: int
    end: int
    value: str


@dataclass(frozen=True, eq=False)
class Said:
    """Words of some turns: texts, and for each turn the index of its own, negative where nothing was said."""

    user_texts: Sequence[str]
    user: NDArray[np.int64]
    agent_texts: Sequence[str]
    agent: NDArray[np.int64]
    planted: tuple[Planted, ...]


@cache
def user_texts() -> tuple[str, ...]:
    """By module, language and way to ask."""
    return tuple(ask.format(TOPICS[m][lang]) for m in MODULES for lang in LANGUAGES for ask in ASKS[lang])


@cache
def agent_texts() -> tuple[str, ...]:
    """By module, language, and whether it was understood (then first)."""
    return tuple(reply.format(TOPICS[m][lang]) for m in MODULES for lang in LANGUAGES for reply in REPLIES[lang])


def say(
    module: NDArray[np.int8],
    language: NDArray[np.int8],
    error: NDArray[np.int8],
    config: Texts,
    rng: np.random.Generator,
) -> Said:
    """Words of these turns."""
    place = module.astype(np.int64) * len(LANGUAGES) + language
    user = place * 3 + rng.integers(3, size=len(module))
    user = np.where(error == SILENCE, -1, user)
    failed = (error != NO_ERROR) & (error != TECHNICAL)
    texts = list(user_texts())
    chosen = np.flatnonzero((rng.random(len(module)) < config.personal_share) & (user >= 0))
    kinds = (*KINDS, "bare_name") if config.bare_names else KINDS
    which = rng.integers(len(kinds), size=len(chosen))
    planted = []
    numbers = rng.integers(10, size=(len(chosen), DIGITS)).tolist()
    for row, kind, number in zip(chosen.tolist(), which.tolist(), numbers, strict=True):
        lead, value = personal(kinds[kind], LANGUAGES[language[row]], number)
        before = f"{texts[user[row]]}, {lead}"
        planted.append(Planted(row, kinds[kind], len(before), len(before) + len(value), value))
        user[row] = len(texts)
        texts.append(before + value)
    return Said(texts, user, agent_texts(), place * 2 + failed, tuple(planted))


def personal(kind: str, language: str, number: list[int]) -> tuple[str, str]:
    """(what leads to it, the personal data itself), made of ``DIGITS`` digits."""
    text = "".join(map(str, number))
    name = f"{FIRST_NAMES[number[0] % 8]} {LAST_NAMES[number[1] % 8]}"
    if kind == "phone":
        return "", f"+25078{text[:7]}" if number[7] % 2 else f"078{text[0]} {text[1:4]} {text[4:7]}"
    if kind == "email":
        return "", f"{name.replace(' ', '.').lower()}{text[:3]}@example.org"
    if kind == "card":
        return "", _card(f"4{text[:14]}")
    if kind == "number":
        return "", f"1{text[:15]}"
    if kind == "spoken_number":
        return "", " ".join(_SPOKEN_DIGITS[language][digit] for digit in number[:10])
    return (f"{NAME_CUES[language]} " if kind == "name" else "", name)


def _card(first: str) -> str:
    """Sixteen digits in fours, the last of which makes them pass Luhn's check."""
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(first))
    whole = f"{first}{-total % 10}"
    return " ".join(whole[at : at + 4] for at in range(0, 16, 4))
