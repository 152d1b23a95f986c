"""Word errors: known pairs, and what must hold of any two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.transcripts.words import word_errors, words

TEXTS = st.lists(st.sampled_from(["yes", "no", "a", "cheap", "restaurant", "it's"]), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("said", "heard", "counts"),
    [
        ("i want thai food", "i want thai food", (4, 0)),
        ("I want Thai food.", "i want thai food", (4, 0)),
        ("i want thai food", "i want fast food", (4, 1)),
        ("i want thai food", "i want food", (4, 1)),
        ("i want thai food", "yes i want thai food", (4, 1)),
        ("it's me", "it\u2019s me", (2, 0)),
        ("no", "a whole lot of nothing", (1, 5)),
        ("thai food", None, (2, 2)),
        ("", "food", (0, 1)),
        ("", "", (0, 0)),
        ("at 7:30 p.m.", "at 7:30 p.m", (3, 0)),
        ("tv_noise - yes", "yes", (2, 1)),
        ("ndashaka icyangombwa", "ndashaka icyangombwa cy'ubutaka", (2, 1)),
    ],
)
def test_errors_of_known_pairs(said: str, heard: str | None, counts: tuple[int, int]) -> None:
    assert word_errors(said, heard) == counts


@given(TEXTS, TEXTS)
def test_errors_lie_between_the_difference_in_length_and_the_longer_text(said: str, heard: str) -> None:
    count, errors = word_errors(said, heard)
    n, m = len(words(said)), len(words(heard))
    assert count == n
    assert abs(n - m) <= errors <= max(n, m)
    assert (errors == 0) == (words(said) == words(heard))
    assert errors == word_errors(heard, said)[1]


@given(TEXTS, TEXTS, TEXTS)
def test_a_detour_is_never_shorter(one: str, two: str, three: str) -> None:
    assert word_errors(one, three)[1] <= word_errors(one, two)[1] + word_errors(two, three)[1]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts_have_counts(said: str, heard: str) -> None:
    assert word_errors(said, heard)[1] >= 0
