"""The labelled set, the bars that the rules reach on it, and the naive reading that does not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from voiceai_assets import transcripts
from voiceai_assets.transcripts.evaluation import (
    Measures,
    Part,
    dialogues,
    labelled_sentences,
    macro_f1,
    measure,
    part,
    report,
)
from voiceai_assets.transcripts.sentiment import Mood
from voiceai_assets.transcripts.signals import Read, read
from voiceai_assets.transcripts.version import code_version

_BUYING = re.compile(r"\b(book|sign me up|take it|go ahead|let's|yes|proceed|add (?:it|that))\b", re.IGNORECASE)


def naive(transcript: str) -> Read:
    """What the brief's pipeline does: phrases and dollars anywhere in the text."""
    amounts = [Decimal(a) for a in re.findall(r"\$(\d+(?:\.\d+)?)", transcript)]
    total = sum(amounts, Decimal(0))
    is_sold = _BUYING.search(transcript) is not None
    return replace(
        read(""),
        is_converted=is_sold,
        offered_amount=total,
        accepted_amount=total if is_sold else Decimal(0),
        currency="USD" if amounts else None,
    )


def naive_feeling(text: str) -> Mood:
    found = [
        sum(word in text.lower() for word in words)
        for words in (
            ("good", "great", "happy", "fantastic", "excellent", "satisfied", "wonderful", "perfect", "love"),
            ("bad", "frustrated", "unacceptable", "disappointed", "terrible", "problem", "waste", "awful"),
        )
    ]
    return Mood.POSITIVE if found[0] > found[1] else Mood.NEGATIVE if found[1] > found[0] else Mood.NEUTRAL


def test_the_set_is_large_adversarial_and_split_by_a_fixed_rule() -> None:
    assert len(dialogues()) >= 60
    assert len(labelled_sentences()) >= 40
    assert len({case.kind for case in dialogues()}) >= 25
    for cases in (dialogues(), labelled_sentences()):
        assert len({case.id for case in cases}) == len({case.text for case in cases}) == len(cases)
        parts = Counter(part(case) for case in cases)
        assert min(parts.values()) >= 20
        assert sum(parts[of] for of in (Part.HELD_OUT, Part.UNSEEN)) >= 0.4 * len(cases)


def test_the_labels_agree_with_their_own_definitions() -> None:
    for case in dialogues():
        assert case.accepted + case.reversed <= case.offered, case.id
        assert (case.currency is None) == (case.offered == 0), case.id
        assert case.is_converted or not case.accepted, case.id


@pytest.mark.parametrize("of", [Part.DEVELOPMENT, Part.HELD_OUT])
def test_the_rules_reach_their_bars_on_what_they_were_made_for(of: Part) -> None:
    """The bars lie a little below what the held-out half gave when it was first looked at."""
    found = report()[of.value]
    assert _at_least(found.conversion_precision, 0.90)
    assert _at_least(found.conversion_recall, 0.95)
    assert _at_least(found.acceptance_precision, 0.85)
    assert _at_least(found.acceptance_recall, 0.90)
    assert found.exact_amounts >= 0.90
    assert found.amount_error <= 0.20
    assert found.macro_f1 >= 0.90


def test_on_unseen_dialogues_they_miss_sales_but_seldom_invent_one() -> None:
    """Measured once, when the batch was written: 0.86, 0.60, 1.00, 0.50, 0.75, 0.71."""
    found = report()["unseen"]
    assert _at_least(found.conversion_precision, 0.80)
    assert _at_least(found.conversion_recall, 0.55)
    assert _at_least(found.acceptance_precision, 0.95)
    assert _at_least(found.acceptance_recall, 0.45)
    assert found.exact_amounts >= 0.70
    assert found.macro_f1 >= 0.65


@pytest.mark.parametrize("of", [Part.HELD_OUT, Part.UNSEEN])
def test_the_naive_reading_does_far_worse(of: Part) -> None:
    """The negative control: a set on which phrases and dollar signs do as well would measure nothing."""
    found, ours = measure(of, reader=naive, feel=naive_feeling), report()[of.value]
    assert _f1(found.conversion_precision, found.conversion_recall) < 0.7
    assert _f1(ours.conversion_precision, ours.conversion_recall) >= 0.7
    assert _f1(found.acceptance_precision, found.acceptance_recall) <= 0.5
    assert _f1(ours.acceptance_precision, ours.acceptance_recall) > 0.6
    assert found.exact_amounts < ours.exact_amounts - 0.1
    assert found.amount_error > ours.amount_error
    assert found.macro_f1 < ours.macro_f1 - 0.4


def test_macro_f1_is_the_mean_of_three_f1() -> None:
    pos, neu, neg = Mood.POSITIVE, Mood.NEUTRAL, Mood.NEGATIVE
    assert macro_f1([(pos, pos), (neu, neu), (neg, neg)]) == 1
    assert macro_f1([(pos, pos), (neu, pos), (neg, pos)]) == pytest.approx(0.5 / 3)


def test_a_rule_does_not_quote_a_case() -> None:
    """Six words in a row of a labelled text, inside a rule, would be an answer learned by heart."""
    rules = " ".join(path.read_text() for path in Path(transcripts.__file__).parent.glob("*.py"))
    rules = " ".join(re.findall(r"[a-z']+", rules.lower()))
    for case in (*dialogues(), *labelled_sentences()):
        words = re.findall(r"[a-z']+", case.text.lower())
        for n in range(len(words) - 5):
            assert " ".join(words[n : n + 6]) not in rules, case.id


def test_the_report_has_every_part_and_the_rules_have_a_version() -> None:
    assert {name: type(measures) for name, measures in report().items()} == dict.fromkeys(Part, Measures)
    assert re.fullmatch(r"[0-9a-f]{12}", code_version())


def _f1(precision: float | None, recall: float | None) -> float:
    return 2 * precision * recall / (precision + recall) if precision and recall else 0.0


def _at_least(value: float | None, bar: float) -> bool:
    return value is not None and value >= bar
