r"""Who said what: a transcript in one string, cut into turns.

Belongs here: the cut. Does not belong here: cleaning, meaning.

The rule is that of the Converza adapter (``adapters/converza.py``, there in DuckDB's SQL, because it cuts whole files);
``tests/unit/test_transcripts_dialogue.py`` holds the two together on generated text. Reading ``raw.turns`` instead was
considered: a call document that arrives in the canonical format has no turns there, and a session may have others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from voiceai_assets.white_space import WHITE_SPACE


class Speaker(StrEnum):
    """Who speaks; text under no mark is UNKNOWN, and nothing is ever concluded from it."""

    AGENT = "agent"
    CUSTOMER = "customer"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Turn:
    """Words of one speaker in one go; the text is as it was, without the mark."""

    speaker: Speaker
    text: str


_SPACE = f"[{WHITE_SPACE}]"
_CUT, _COLON = "\x1f", "\x1e"
_MARKER = re.compile(rf"(?:^|{_SPACE})(Agent|Customer):")
#: "I told the Agent: no" speaks about somebody.
_SPOKEN_OF = re.compile(rf"(?a:\b)((?i:a|an|the|my|your|our|their|every){_SPACE}+)(Agent|Customer):")
_NAMES = {"Agent:": Speaker.AGENT, "Customer:": Speaker.CUSTOMER}


def turns(transcript: str) -> list[Turn]:
    """Turns in order; blank ones are left out. Text before the first mark is a turn of nobody."""
    text = transcript.replace(_CUT, " ").replace(_COLON, " ")
    marked = _MARKER.sub(rf"{_CUT}\1:", _SPOKEN_OF.sub(rf"\1\2{_COLON}", text))
    found = (_turn(part) for part in marked.split(_CUT))
    return [turn for turn in found if turn.text]


def _turn(part: str) -> Turn:
    speaker = Speaker.UNKNOWN
    for mark, name in _NAMES.items():
        if part.startswith(mark):
            speaker, part = name, part.removeprefix(mark)
            break
    return Turn(speaker, part.replace(_COLON, ":").strip(WHITE_SPACE))
