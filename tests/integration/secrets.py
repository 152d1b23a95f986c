"""A thousand people who do not exist: what they would not want to be read, in the spellings in which it arrives.

Belongs here: making secrets (seeded) and what must not be found of each. Does not belong here: where they are planted.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Of everything that is read out digit by digit, so many words in a row give it away.
SPOKEN_WINDOW = 6
SHORTEST_NUMBER = 8

_DIGITS = "zero one two three four five six seven eight nine".split()
_OTHER_DIGITS = [
    "zero un deux trois quatre cinq six sept huit neuf".split(),  # French, as speech recognition spells it
    "zeru rimwe kabiri gatatu kane gatanu gatandatu karindwi umunani icyenda".split(),
]
_SYLLABLES = [c + v for c in ("b", "d", "g", "k", "l", "m", "n", "r", "t", "v", "z") for v in "aeiou"]


@dataclass(frozen=True)
class Secret:
    """Something about a person.

    Attributes:
        kind: phone, email, spoken_email, card, national_id, spoken_digits, name or user.
        spelled: as it stands in the record.
        needles: what must be found nowhere.
    """

    kind: str
    spelled: str
    needles: tuple[str, ...]

    @property
    def digits(self) -> str:
        """Digits alone."""
        return re.sub(r"\D", "", self.spelled)


def secrets(seed: int, counts: dict[str, int]) -> list[Secret]:
    """So many of each kind, every one different, in a seeded order."""
    draw = random.Random(seed)
    made: list[Secret] = []
    seen: set[str] = set()
    for kind, count in counts.items():
        wanted = len(made) + count
        while len(made) < wanted:
            secret = _MAKERS[kind](draw)
            if seen.isdisjoint(secret.needles):
                seen.update(secret.needles)
                made.append(secret)
    draw.shuffle(made)
    return made


def in_words(secret: Secret, draw: random.Random) -> str:
    """The secret in a sentence in which somebody would say it."""
    said = _SENTENCES.get(secret.kind, _SENTENCES[""])
    if secret.kind == "name" and secret.spelled[0].isupper():
        said = said + _SENTENCES_WITH_A_CAPITAL
    return draw.choice(said).format(secret.spelled)


_SENTENCES = {
    "name": [
        "my name is {}",
        "Hello, my name is {} and I want to pay",
        "good morning my name is {}, can you help me",
        "I am called {}",
        "yes this is {} speaking",
        "my name is Dr. {}",
        "my wife's name is {}, call her",
        "surname is {}",
        "je m'appelle {}",
        "bonjour je m'appelle Mme. {} et j'appelle pour mon fils",
        "mon nom est {} merci",
        "oui c'est {} \u00e0 l'appareil",
        "muraho nitwa {} ndashaka icyangombwa",
        "amazina yanjye ni {} murakoze",
        "jina langu ni {} nataka cheti",
    ],
    "spoken_digits": [
        *("my number is {} thank you", "{}", "it is {}", "yes, {}, that is right"),
        *("mon num\u00e9ro c'est le {} merci", "nimero yanjye ni {} murakoze"),
    ],
    "spoken_email": ["my email is {}", "write to {} please", "{}"],
    "": ["please call me back on {}", "{}", "my number is {}, thank you", "is {} the one you have?", "Yes: {}."],
}


_SENTENCES_WITH_A_CAPITAL = ["I'm {} and I wait", "bonjour je suis {} de Kigali", "moi c'est {}", "muraho ndi {}"]


def _phone(draw: random.Random) -> Secret:
    network, a, b = draw.choice(["78", "79", "72", "73"]), f"{draw.randrange(1000):03}", f"{draw.randrange(10000):04}"
    first = f"{network}{a[0]}"
    second, third = a[1:] + b[0], b[1:]
    spelled = draw.choice(
        [
            f"+250{first}{second}{third}",
            f"+250 {first} {second} {third}",
            f"250{first}{second}{third}",
            f"00250{first}{second}{third}",
            f"0{first}{second}{third}",
            f"0{first} {second} {third}",
            f"0{first}-{second}-{third}",
            f"(0{first}) {second}-{third}",
            f"0{first}.{second}.{third}",
            f"+250 (0){first} {second}{third}",
        ]
    )
    return _number("phone", spelled)


def _number(kind: str, spelled: str) -> Secret:
    digits = re.sub(r"\D", "", spelled)
    return Secret(kind, spelled, (spelled,) if spelled == digits else (spelled, digits))


def _card(draw: random.Random) -> Secret:
    digits = draw.choice(["4", "51", "52", "53", "54", "55"])
    while len(digits) < 15:
        digits += str(draw.randrange(10))
    digits += _luhn(digits)
    groups = [digits[i : i + 4] for i in range(0, 16, 4)]
    return _number("card", draw.choice(["", " ", "-"]).join(groups))


def _luhn(digits: str) -> str:
    total = sum(sum(divmod(2 * int(d), 10)) for d in digits[::-2]) + sum(int(d) for d in digits[-2::-2])
    return str(-total % 10)


def _national_id(draw: random.Random) -> Secret:
    parts = ["1", str(draw.randrange(1940, 2008)), draw.choice("78"), f"{draw.randrange(10**7):07}", "0"]
    parts.append(f"{draw.randrange(100):02}")
    return _number("national_id", draw.choice(["", " "]).join(parts))


def _email(draw: random.Random) -> Secret:
    local_part = f"{_name_word(draw)}{draw.choice(['.', '_', ''])}{_name_word(draw)}"
    spelled = f"{local_part}@{draw.choice(_HOSTS)}"
    return Secret("email", spelled, (spelled, local_part))


def _spoken_email(draw: random.Random) -> Secret:
    first, last = _name_word(draw), _name_word(draw)
    spelled = f"{first} dot {last} at {draw.choice(_HOSTS).replace('.', ' dot ')}"
    return Secret("spoken_email", spelled, (spelled, first, last))


_HOSTS = ["gmail.com", "yahoo.com", "mail.rw", "example.org", "irembo.gov.rw"]


def _spoken_digits(draw: random.Random) -> Secret:
    digits = "07" + "".join(str(draw.randrange(10)) for _ in range(8))
    words = [_DIGITS[int(d)] for d in digits]
    if draw.random() < 0.3:
        words = ["oh" if w == "zero" else w for w in words]
    others = [[spoken[int(d)] for d in digits] for spoken in _OTHER_DIGITS]
    words, gap = draw.choice([(words, " "), (words, ", "), (_doubled(words), " "), *((other, " ") for other in others)])
    windows = (gap.join(words[i : i + SPOKEN_WINDOW]) for i in range(len(words) - SPOKEN_WINDOW + 1))
    return Secret("spoken_digits", gap.join(words), (*windows, digits))


def _doubled(words: list[str]) -> list[str]:
    """Twice the same digit as "double seven", from left to right."""
    found: list[str] = []
    for word, group in itertools.groupby(words):
        pairs, single = divmod(len(list(group)), 2)
        found += ["double", word] * pairs + [word] * single
    return found


def _name(draw: random.Random) -> Secret:
    words = [_name_word(draw), _name_word(draw)]
    spelled = " ".join(words) if draw.random() < 0.5 else " ".join(word.capitalize() for word in words)
    return Secret("name", spelled, tuple(words))


def _name_word(draw: random.Random) -> str:
    return "".join(draw.choice(_SYLLABLES) for _ in range(draw.choice([4, 5])))


def _user(draw: random.Random) -> Secret:
    spelled = f"caller-{_name_word(draw)}-{draw.randrange(1000)}"
    return Secret("user", spelled, (spelled,))


_MAKERS: dict[str, Callable[[random.Random], Secret]] = {
    "phone": _phone,
    "email": _email,
    "spoken_email": _spoken_email,
    "card": _card,
    "national_id": _national_id,
    "spoken_digits": _spoken_digits,
    "name": _name,
    "user": _user,
}


def needles_of(planted: list[Secret]) -> Iterator[str]:
    """What must be found nowhere; digits alone only where there are enough of them."""
    for secret in planted:
        for needle in secret.needles:
            if not needle.isdigit() or len(needle) >= SHORTEST_NUMBER:
                yield needle
