"""Cleaning changes spelling and no meaning; amounts are found in figures and in words."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.transcripts.amounts import LARGEST, amounts
from voiceai_assets.transcripts.cleaning import clean, clean_column

PIECES = (
    "i'd won't can't shouldn't've it's the agent's Y'ALL I\u2019m $25 1,200.50 twenty-five dollars \u20ac , . ? 've n't"
)
TALK = st.lists(st.sampled_from(PIECES.split(" ")) | st.text(max_size=12)).map(" ".join)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("I'd LIKE that,  don't\tyou?", "i would like that, do not you?"),
        ("I won\u2019t, can\u2019t and shan't", "i will not, cannot and shall not"),
        ("She shouldn't've. You'd better go.", "she should not have. you had better go."),
        ("It's the agent's fault, let's go", "it is the agent's fault, let us go"),
        ("wanna? gonna. gimme", "want to? going to. give me"),
        (" \u00a0 ", ""),
    ],
)
def test_contractions_are_expanded_and_case_and_space_are_levelled(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(TALK | st.text())
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text())
def test_cleaning_leaves_single_spaces_only(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == " ".join(cleaned.split())


def test_a_column_keeps_its_gaps() -> None:
    column = ["It's", None, ""]
    expected = ["it is", None, ""]
    assert clean_column(column) == expected
    assert clean_column(pd.Series(column, dtype=object)) == expected
    assert clean_column(pa.array(column).to_pylist()) == expected


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("$19.99", "19.99", "USD"),
        ("us$ 1,200.50 now", "1200.50", "USD"),
        ("19,99 €", "19.99", "EUR"),
        ("1.200,50 euros", "1200.50", "EUR"),
        ("£5k", "5000", "GBP"),
        ("kes 450 more", "450", "KES"),
        ("5,000 rwandan francs", "5000", "RWF"),
        ("50 francs", "50", None),
        ("a hundred bucks", "100", "USD"),
        ("fifteen hundred dollars", "1500", "USD"),
        ("two thousand five hundred and six euros", "2506", "EUR"),
        ("one million naira", "1000000", "NGN"),
        ("nineteen dollars and fifty cents", "19.50", "USD"),
        ("5 dollars 5 cents", "5.05", "USD"),
    ],
)
def test_a_sum_of_money_is_read_in_figures_and_in_words(text: str, value: str, currency: str | None) -> None:
    (found,) = amounts(text)
    assert (found.value, found.currency) == (Decimal(value), currency)


@pytest.mark.parametrize("text", ["for 3 months", "24 people", "room 101", "twenty minutes", "5,000", "model$", "$"])
def test_a_number_without_a_currency_is_no_sum(text: str) -> None:
    assert amounts(text) == []


@given(TALK | st.text())
def test_no_sum_is_negative_or_absurd_whatever_the_text(text: str) -> None:
    for found in amounts(clean(text)):
        assert 0 <= found.value < LARGEST
        assert found.value == found.value.quantize(Decimal("0.000001"))
