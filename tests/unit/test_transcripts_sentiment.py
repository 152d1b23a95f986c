"""How the customer feels: negation, situations that are bad by themselves, and only the customer's words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceai_assets.transcripts.evaluation import feeling
from voiceai_assets.transcripts.sentiment import LIMIT, Mood, of_score, sentiment
from voiceai_assets.transcripts.signals import read


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("I'm happy with it.", Mood.POSITIVE),
        ("I'm not happy with it.", Mood.NEGATIVE),
        ("It isn't bad at all.", Mood.POSITIVE),
        ("I've been on hold for an hour.", Mood.NEGATIVE),
        ("Great, another outage.", Mood.NEGATIVE),
        ("Great, the outage is over.", Mood.POSITIVE),
        ("Thank you, goodbye.", Mood.NEUTRAL),
        ("Is there a free trial?", Mood.NEUTRAL),
    ],
)
def test_a_sentence_is_felt_as_it_is_meant(text: str, mood: Mood) -> None:
    assert feeling(text) is mood


def test_the_agents_enthusiasm_is_not_the_customers() -> None:
    assert read("Agent: Fantastic, wonderful, you will love it! Customer: When does it arrive?").sentiment == "neutral"
    assert read("Agent: I hate to say it, terrible news. Customer: I'm delighted anyway.").sentiment == "positive"


def test_questions_do_not_hide_a_complaint_and_the_end_counts_twice() -> None:
    assert sentiment(["what time is it?"] * 20 + ["this is terrible."]).mood is Mood.NEGATIVE  # type: ignore[union-attr]
    at_the_end = sentiment(["this is terrible.", "this is wonderful."])
    at_the_start = sentiment(["this is wonderful.", "this is terrible."])
    assert at_the_end is not None
    assert at_the_start is not None
    assert at_the_start.score < at_the_end.score


def test_who_says_nothing_feels_nothing_that_we_know() -> None:
    assert sentiment([]) is None
    assert sentiment(["...", ""]) is None
    assert read("Agent: Hello? Anybody there?").sentiment is None


@settings(max_examples=200)
@given(st.lists(st.text(max_size=60), max_size=4))
def test_a_score_lies_between_minus_one_and_one_and_fits_its_mood(texts: list[str]) -> None:
    found = sentiment(texts)
    if found is not None:
        assert -1 <= found.score <= 1
        assert found == of_score(found.score)
        assert (found.mood is Mood.POSITIVE) == (found.score >= LIMIT)
