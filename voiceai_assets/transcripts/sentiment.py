"""How the customer feels: positive, negative or neutral, from the customer's words alone.

Belongs here: scoring. Does not belong here: the agent's words (enthusiasm is part of the job), sales.

Score of a sentence: VADER's compound (Hutto and Gilbert 2014, doi:10.1609/icwsm.v8i1.14550), from -1 to 1: the sum x of
the words' valences, each changed by negation and intensity, as x / sqrt(x^2 + 15). Negation works because the text is
cleaned first ("isn't bad" is "is not bad"). Two changes: words of the trade weigh what ``lexicon`` says, and praise
that opens a complaint counts against.

Score of a call: the mean over the customer's sentences that say anything (those with score 0 are left out, so that
twenty questions do not hide one complaint), the last of them counted twice: how a call ends is what the customer
leaves with. Neutral when it is between -0.05 and 0.05 (VADER's own limit), or when nothing is said either way.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from voiceai_assets.transcripts.lexicon import COMPLAINT, IRONIC_OPENING, NEUTRAL_WORDS, PHRASES
from voiceai_assets.transcripts.phrases import sentences

LIMIT = 0.05
#: Digits of a score that are kept: the same on every machine.
_DIGITS = 4


class Mood(StrEnum):
    """A sentiment."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


@dataclass(frozen=True)
class Sentiment:
    """Mood, and its score from -1 to 1."""

    mood: Mood
    score: float


def sentiment(texts: Iterable[str]) -> Sentiment | None:
    """Sentiment of a customer's turns (cleaned); None where the customer says nothing."""
    scores = [score(sentence) for text in texts for sentence in sentences(text)]
    if not scores:
        return None
    telling = [s for s in scores if s]
    if not telling:
        return Sentiment(Mood.NEUTRAL, 0.0)
    return of_score((sum(telling) + telling[-1]) / (len(telling) + 1))


def of_score(value: float) -> Sentiment:
    """The mood that a score stands for."""
    rounded = round(value, _DIGITS)
    mood = Mood.POSITIVE if rounded >= LIMIT else Mood.NEGATIVE if rounded <= -LIMIT else Mood.NEUTRAL
    return Sentiment(mood, rounded)


def score(sentence: str) -> float:
    """Score of one cleaned sentence, -1 to 1."""
    is_complaint = re.search(COMPLAINT, sentence) is not None
    if is_complaint and (opening := re.match(IRONIC_OPENING, sentence)):
        sentence = sentence[opening.end() :] + " ironically_praised"
    for token, pattern in _tokens():
        sentence = pattern.sub(token, sentence)
    return float(_analyser().polarity_scores(sentence)["compound"])


@functools.cache
def _tokens() -> list[tuple[str, re.Pattern[str]]]:
    """Each phrase as one word that VADER can look up; longer ones first, so that none is taken apart."""
    numbered = sorted(enumerate(PHRASES), key=lambda entry: -len(entry[1][0]))
    return [(f"phrase_{n}", re.compile(rf"\b(?:{pattern})\b", re.ASCII)) for n, (pattern, _) in numbered]


@functools.cache
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # 0.1 s to read its lexicon

    analyser = SentimentIntensityAnalyzer()
    for word in NEUTRAL_WORDS:
        analyser.lexicon.pop(word, None)
    analyser.lexicon |= {f"phrase_{n}": weight for n, (_, weight) in enumerate(PHRASES) if weight}
    analyser.lexicon["ironically_praised"] = -2.0
    return analyser
