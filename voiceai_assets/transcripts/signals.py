"""One call, one record: what its text says, beside what the business system booked.

Belongs here: which of the two counts. Does not belong here: how the text is read, where records are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from voiceai_assets.transcripts.cleaning import clean
from voiceai_assets.transcripts.dialogue import Speaker, Turn, turns
from voiceai_assets.transcripts.sales import NOTHING, sales
from voiceai_assets.transcripts.sentiment import sentiment


class Source(StrEnum):
    """Where conversion and amount come from."""

    BUSINESS_EVENT = "business_event"
    TEXT = "text"


@dataclass(frozen=True)
class Read:
    """What a transcript says.

    Attributes:
        is_converted: None where the text does not say who speaks.
        accepted_amount, offered_amount, reversed_amount: extras in ``currency``.
        is_currency_mixed: extras in another currency were named too; they are counted, but in no amount.
        sentiment, sentiment_score: None where the customer says nothing.
    """

    cleaned_text: str
    is_converted: bool | None
    accepted_amount: Decimal
    offered_amount: Decimal
    reversed_amount: Decimal
    currency: str | None
    is_currency_mixed: bool
    offer_count: int
    customer_turn_count: int
    sentiment: str | None
    sentiment_score: float | None


@dataclass(frozen=True)
class Booked:
    """What the business system says of a call, where it says anything."""

    is_converted: bool | None = None
    upsell_amount: Decimal | None = None
    currency: str | None = None

    @property
    def says_anything(self) -> bool:
        """Whether there is a business event at all."""
        return self.is_converted is not None or self.upsell_amount is not None


@dataclass(frozen=True)
class Signals:
    """What is reported of a call.

    Attributes:
        is_converted: None where neither the business system nor the text says.
        upsell_amount: accepted extras in ``currency``; None where it cannot be known.
        offered_amount, reversed_amount: from the text, the only source of them; None where there is none, or where
            they are in another currency than what was booked.
        is_currency_mixed: extras in more than one currency were named.
        signal_source: where ``is_converted`` and ``upsell_amount`` come from; None where neither can be known.
    """

    is_converted: bool | None
    upsell_amount: Decimal | None
    offered_amount: Decimal | None
    reversed_amount: Decimal | None
    currency: str | None
    is_currency_mixed: bool | None
    signal_source: Source | None


def read(transcript: str) -> Read:
    """Everything that a transcript says; never raises, whatever the text."""
    said = [Turn(turn.speaker, clean(turn.text)) for turn in turns(transcript)]
    found = sales(said)
    customer = [turn.text for turn in said if turn.speaker is Speaker.CUSTOMER]
    felt = sentiment(customer)
    return Read(
        cleaned_text=clean(transcript),
        is_converted=found.is_converted,
        accepted_amount=found.main.accepted,
        offered_amount=found.main.offered,
        reversed_amount=found.main.reversed,
        currency=found.main.currency,
        is_currency_mixed=len(found.sums) > 1,
        offer_count=found.offer_count,
        customer_turn_count=len(customer),
        sentiment=felt.mood.value if felt else None,
        sentiment_score=felt.score if felt else None,
    )


def signals(booked: Booked, found: Read | None) -> Signals:
    """The business system's word before the text's.

    A booked amount without a word on conversion is a sale if it is more than nothing; a booked conversion without an
    amount takes the text's amount, unless it says that nothing was sold.
    """
    if booked.says_anything:
        return _booked(booked, found)
    if found is None or found.is_converted is None:
        return Signals(None, None, None, None, None, None, None)
    return Signals(
        found.is_converted,
        found.accepted_amount,
        found.offered_amount,
        found.reversed_amount,
        found.currency,
        found.is_currency_mixed,
        Source.TEXT,
    )


def _booked(booked: Booked, found: Read | None) -> Signals:
    is_converted, amount, currency = booked.is_converted, booked.upsell_amount, booked.currency
    if is_converted is None:
        is_converted = (amount or NOTHING) > 0
    if found is None:
        return Signals(is_converted, amount, None, None, currency, None, Source.BUSINESS_EVENT)
    is_texts = amount is None or (currency is None and amount == found.accepted_amount)
    if amount is None:
        amount = found.accepted_amount if is_converted else NOTHING
    if is_texts:
        currency = found.currency or currency
    is_foreign = found.offered_amount > 0 and found.currency != currency
    return Signals(
        is_converted,
        amount,
        None if is_foreign else found.offered_amount,
        None if is_foreign else found.reversed_amount,
        currency,
        found.is_currency_mixed or is_foreign,
        Source.BUSINESS_EVENT,
    )
