"""How often the reading of transcripts is right, on dialogues and sentences written for the purpose.

Belongs here: the labelled set and its measures. Does not belong here: anything that a rule could learn from; no rule
names a case.

Three parts, told apart by a case's number alone. *Development*: even numbers of the first batch, on which the rules
were made, and all of the second, written when they were finished, which they read badly (precision of conversion 0.71,
recall 0.38, macro-F1 0.59) and on which they were widened. *Held out*: odd numbers of the first batch, of which only
totals were looked at; but they were written in one sitting with the even ones, case by similar case, so they flatter.
*Unseen*: a third batch on other trades in other words, written after the last change of a rule: the figure to believe.

Labels follow the definitions in ``sales``. A dialogue that says nowhere who speaks has ``is_converted`` null: the right
answer is that it cannot be known. Every figure is a proportion of this hard set, not of calls as they come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from voiceai_assets.transcripts.cleaning import clean
from voiceai_assets.transcripts.sentiment import Mood, sentiment
from voiceai_assets.transcripts.signals import Read, read


@dataclass(frozen=True)
class Dialogue:
    """A labelled dialogue; amounts are sums of extras in ``currency``."""

    id: int
    kind: str
    text: str
    is_converted: bool | None
    offered: Decimal
    accepted: Decimal
    reversed: Decimal
    currency: str | None


@dataclass(frozen=True)
class Sentence:
    """A labelled utterance of a customer."""

    id: int
    label: Mood
    text: str


@dataclass(frozen=True)
class Measures:
    """What was measured.

    Attributes:
        conversion_precision, conversion_recall: of the calls read as converted, and of those that are.
        acceptance_precision, acceptance_recall: the same of calls with an accepted extra, the sum being exact.
        exact_amounts: share of dialogues with offered, accepted, reversed and currency all right.
        amount_error: sum of absolute errors of accepted amounts over their true sum, over dialogues in USD.
        macro_f1: unweighted mean of the F1 of the three sentiments.
    """

    dialogues: int
    sentences: int
    conversion_precision: float | None
    conversion_recall: float | None
    acceptance_precision: float | None
    acceptance_recall: float | None
    exact_amounts: float
    amount_error: float
    macro_f1: float


Reader = Callable[[str], Read]
Feeling = Callable[[str], Mood]


@cache
def dialogues() -> tuple[Dialogue, ...]:
    """All labelled dialogues."""
    return tuple(
        Dialogue(
            row["id"], row["kind"], row["text"], row["is_converted"],
            Decimal(row["offered"]), Decimal(row["accepted"]), Decimal(row["reversed"]), row["currency"],
        )
        for row in _rows("dialogues.jsonl")
    )  # fmt: skip


@cache
def labelled_sentences() -> tuple[Sentence, ...]:
    """All labelled sentences."""
    return tuple(Sentence(row["id"], Mood(row["label"]), row["text"]) for row in _rows("sentences.jsonl"))


class Part(StrEnum):
    """A part of the labelled set."""

    DEVELOPMENT = "development"
    HELD_OUT = "held out"
    UNSEEN = "unseen"


#: Last numbers of the first and of the second batch.
_DIALOGUES, _SENTENCES = (86, 112), (60, 80)


def part(case: Dialogue | Sentence) -> Part:
    """Which part a case belongs to."""
    first, second = _DIALOGUES if isinstance(case, Dialogue) else _SENTENCES
    if case.id > second:
        return Part.UNSEEN
    return Part.HELD_OUT if case.id <= first and case.id % 2 == 1 else Part.DEVELOPMENT


def feeling(text: str) -> Mood:
    """Our own sentiment of one utterance."""
    found = sentiment([clean(text)])
    return found.mood if found else Mood.NEUTRAL


def measure(of: Part, *, reader: Reader = read, feel: Feeling = feeling) -> Measures:
    """Measure a reader on one part of the labelled set."""
    cases = [d for d in dialogues() if part(d) is of]
    read_as = [reader(d.text) for d in cases]
    converted = [(bool(d.is_converted), bool(r.is_converted)) for d, r in zip(cases, read_as, strict=True)]
    # an accepted amount that is not exact is a wrong acceptance and a missed one
    claims = [(d, r) for d, r in zip(cases, read_as, strict=True) if r.accepted_amount]
    truths = [(d, r) for d, r in zip(cases, read_as, strict=True) if d.accepted]
    texts = [s for s in labelled_sentences() if part(s) is of]
    in_usd = [(d, r) for d, r in zip(cases, read_as, strict=True) if d.currency in {None, "USD"}]
    return Measures(
        dialogues=len(cases),
        sentences=len(texts),
        conversion_precision=_share(truth for truth, claimed in converted if claimed),
        conversion_recall=_share(claimed for truth, claimed in converted if truth),
        acceptance_precision=_share(_is_exact(d, r) for d, r in claims),
        acceptance_recall=_share(_is_exact(d, r) for d, r in truths),
        exact_amounts=_share(_has_all_amounts(d, r) for d, r in zip(cases, read_as, strict=True)) or 0.0,
        amount_error=float(
            sum((abs(r.accepted_amount - d.accepted) for d, r in in_usd), Decimal(0))
            / sum((d.accepted for d, _ in in_usd), Decimal(0))
        ),
        macro_f1=macro_f1([(s.label, feel(s.text)) for s in texts]),
    )


@cache
def report() -> Mapping[str, Measures]:
    """Every part, measured once a process."""
    return {of.value: measure(of) for of in Part}


def macro_f1(pairs: Sequence[tuple[Mood, Mood]]) -> float:
    """Mean over the classes of 2 tp / (2 tp + fp + fn), for (truth, claim) pairs; a class never right counts 0."""
    scores = []
    for mood in Mood:
        right = sum(truth == claim == mood for truth, claim in pairs)
        wrong = sum((truth == mood) != (claim == mood) for truth, claim in pairs)
        scores.append(2 * right / (2 * right + wrong) if right else 0.0)
    return sum(scores) / len(scores)


def _is_exact(case: Dialogue, found: Read) -> bool:
    return case.accepted == found.accepted_amount and case.currency == found.currency


def _has_all_amounts(case: Dialogue, found: Read) -> bool:
    amounts = (found.offered_amount, found.accepted_amount, found.reversed_amount, found.currency)
    return (case.offered, case.accepted, case.reversed, case.currency) == amounts


def _share(hits: Iterable[bool]) -> float | None:
    found = list(hits)
    return sum(found) / len(found) if found else None


def _rows(name: str) -> list[dict[str, Any]]:
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
