"""An offer is not a sale: what the customer agrees to, refuses and takes back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceai_assets.transcripts.cleaning import clean
from voiceai_assets.transcripts.dialogue import Speaker, Turn
from voiceai_assets.transcripts.sales import Sales, sales
from voiceai_assets.transcripts.signals import Booked, Source, read, signals

OFFER = "Agent: Shall I add the extended warranty for $25? Customer: "

_WORDS = (
    "yes|no|i will take it|sign me up|add it|cancel that|remove the warranty|for $25|the support for 40 euros|"
    "shall i add it|would you like the upgrade for $80|i would not book that|if you can|both please|neither|"
    "the second one|"
    "actually|never mind|put it back|done|booked|unfortunately it is sold out|how much is it|"
    "i will take it for $10|"
    "your total is $300|deal|keep it|?|.|,|but|and"
).split("|")
SPEECH = st.lists(st.sampled_from(_WORDS), max_size=8).map(" ".join) | st.text(max_size=30).map(clean)
TURNS = st.lists(st.builds(Turn, st.sampled_from(Speaker), SPEECH), max_size=10)


def said(transcript: str) -> tuple[bool | None, Decimal, Decimal, Decimal]:
    found = read(transcript)
    return found.is_converted, found.offered_amount, found.accepted_amount, found.reversed_amount


@pytest.mark.parametrize(
    "answer", ["Yes please.", "Sure, go ahead.", "I'll take it.", "Okay.", "Sounds good!", "Why not?"]
)
def test_an_answer_that_agrees_is_a_sale(answer: str) -> None:
    assert said(OFFER + answer) == (True, 25, 25, 0)


@pytest.mark.parametrize(
    "answer",
    [
        "No thanks.",
        "I would not book that.",
        "I don't think I'll take it.",
        "How much is it after a year?",
        "If it were cheaper, I'd take it.",
        "Yes, but let me talk to my wife first.",
        "Maybe next month.",
        "My neighbour said yes, sign me up, and regrets it.",
        "Yeah right, sign me up for more waiting.",
        "I already have that.",
        "What is it for?",
        "",
    ],
)
def test_an_answer_that_does_not_agree_is_none(answer: str) -> None:
    assert said(OFFER + answer) == (False, 25, 0, 0)


def test_a_yes_sells_only_what_it_answers() -> None:
    assert said("Agent: Can you hear me? Customer: Yes.") == (False, 0, 0, 0)
    assert said("Agent: The premium tier is $80. Agent: Is this your address? Customer: Yes.") == (False, 80, 0, 0)


def test_a_yes_that_does_not_say_which_of_two_sells_neither() -> None:
    two = "Agent: Would you like the bronze upgrade for $10 or the silver upgrade for $30? Customer: "
    assert said(two + "Yes.") == (False, 40, 0, 0)
    assert said(two + "The silver one, please.") == (True, 40, 30, 0)
    assert said(two + "The first one.") == (True, 40, 10, 0)


def test_what_is_taken_back_in_a_later_turn_is_reversed_and_in_the_same_turn_was_never_agreed() -> None:
    assert said(OFFER + "Yes. Agent: Added. Customer: Actually cancel it.") == (False, 25, 0, 25)
    assert said(OFFER + "Yes. No wait, cancel it.") == (False, 25, 0, 0)
    assert said(OFFER + "Yes. Agent: Shall I cancel it? Customer: No.") == (True, 25, 25, 0)


def test_the_price_of_the_main_product_is_no_upsell() -> None:
    assert said("Agent: The course is $300. Would you like to enrol? Customer: Yes, enrol me.") == (True, 0, 0, 0)


def test_a_price_that_the_agent_did_not_agree_to_is_not_accepted() -> None:
    haggling = "Agent: The deluxe upgrade is $90. Customer: I'll take it for $60. Agent: "
    assert said(haggling + "That's not possible.") == (False, 90, 0, 0)
    assert said(haggling + "Deal.") == (True, 60, 60, 0)


def test_amounts_of_two_currencies_are_kept_apart() -> None:
    found = read("Agent: Shall I add insurance for $10? Customer: Yes. Agent: And breakfast for €12? Customer: No.")
    assert (found.currency, found.accepted_amount, found.offered_amount, found.is_currency_mixed) == (
        "USD",
        10,
        10,
        True,
    )


def test_where_nobody_is_named_nothing_is_known() -> None:
    assert read("Sign me up for the premium package at $50.").is_converted is None
    assert sales([]) == Sales(is_converted=None, offer_count=0)


# -- properties --------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(TURNS)
def test_what_is_accepted_or_reversed_was_offered_and_nothing_is_negative(turns: list[Turn]) -> None:
    found = sales(turns)
    for sums in found.sums:
        assert min(sums.offered, sums.accepted, sums.reversed) >= 0
        assert sums.accepted + sums.reversed <= sums.offered
    if any(sums.accepted for sums in found.sums):
        assert found.is_converted


@settings(max_examples=300)
@given(st.lists(SPEECH, max_size=8))
def test_an_agent_alone_sells_nothing(speeches: list[str]) -> None:
    found = sales([Turn(Speaker.AGENT, text) for text in speeches])
    assert not found.is_converted
    assert all(sums.accepted == 0 for sums in found.sums)


@settings(max_examples=300)
@given(st.text() | st.lists(st.sampled_from(["Agent:", "Customer:", *_WORDS])).map(" ".join))
def test_any_text_can_be_read(text: str) -> None:
    found = read(text)
    assert found.accepted_amount <= found.offered_amount
    assert read(text) == found


# -- business events ---------------------------------------------------------------------------------------------------


def test_what_the_business_system_booked_wins() -> None:
    text = read(OFFER + "Yes.")
    booked = signals(Booked(is_converted=False), text)
    assert (booked.is_converted, booked.upsell_amount, booked.signal_source) == (False, 0, Source.BUSINESS_EVENT)
    booked = signals(Booked(is_converted=True), text)
    assert (booked.upsell_amount, booked.currency) == (25, "USD")
    booked = signals(Booked(upsell_amount=Decimal(9), currency="EUR"), text)
    assert (booked.is_converted, booked.upsell_amount, booked.currency) == (True, 9, "EUR")
    assert (booked.offered_amount, booked.is_currency_mixed) == (None, True)


def test_without_event_and_text_nothing_is_claimed() -> None:
    nothing = signals(Booked(), None)
    assert (nothing.is_converted, nothing.upsell_amount, nothing.signal_source) == (None, None, None)
    assert signals(Booked(is_converted=True), None).upsell_amount is None
