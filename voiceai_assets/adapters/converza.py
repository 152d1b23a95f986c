r"""Converza: one JSON document per telephone call, with the transcript in one string.

Belongs here: the document's fields, and cutting a transcript into turns. Does not belong here: what the words mean
(conversion, upsell and sentiment are read by ``transcripts``).
"""

from __future__ import annotations

from voiceai_assets.adapters.base import Adapter, Table
from voiceai_assets.contracts.calls import CALLS
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.white_space import WHITE_SPACE

#: A speaker's name and a colon, behind white space. The end of a sentence in front is not demanded: transcripts without
#: punctuation are common, and a marker that is missed puts the customer's words into the agent's mouth.
_MARKER = rf"(^|[{WHITE_SPACE}])(Agent|Customer):"

#: "I told the Agent: no" speaks about somebody. Words that cannot end a sentence, so that no real marker is missed.
_SPOKEN_OF = rf"\b((?i:a|an|the|my|your|our|their|every)[{WHITE_SPACE}]+)(Agent|Customer):"

_CUT, _COLON = "chr(31)", "chr(30)"  # control characters, blanked in the text before they are used
_BLANK = f"'{WHITE_SPACE}'"

_MARKED = (
    f"regexp_replace(regexp_replace(translate(s.transcript_text, {_CUT} || {_COLON}, '  '), "
    rf"'{_SPOKEN_OF}', '\1\2' || {_COLON}, 'g'), '{_MARKER}', {_CUT} || '\2:', 'g')"
)
#: What stands before the first marker is a part of its own, unless it is blank.
_PARTS = f"list_filter(string_split({_MARKED}, {_CUT}), lambda part: trim(part, {_BLANK}) <> '')"

_SPEAKER = "CASE WHEN part LIKE 'Agent:%' THEN 'agent' WHEN part LIKE 'Customer:%' THEN 'user' END"
_TEXT = f"replace(regexp_replace(part, '^(Agent|Customer):', ''), {_COLON}, ':')"
_EXPLODE = (
    f"list_transform({_PARTS}, lambda part, i: "
    f"{{'n': i, 'speaker': {_SPEAKER}, 'text': nullif(trim({_TEXT}, {_BLANK}), '')}})"
)

_REQUIRED = ("call_id", "timestamp", "transcript_text")

_CALLS = Table(
    files="*",
    contract=CALLS,
    mapping={
        "call_id": "s.call_id",
        "user_id": "s.customer_number",  # the public generator writes none; a number must not end up in extra
        "agent_name": "s.agent_name",
        "timestamp": "s.timestamp",
        "transcript_text": "s.transcript_text",
    },
    required=_REQUIRED,
)

_TURNS = Table(
    files="*",
    contract=TURNS,
    mapping={
        "session_id": "s.call_id",
        "turn_number": "CAST(item.n AS VARCHAR)",
        "timestamp": "s.timestamp",  # of the call: the source has no other
        "speaker": "coalesce(item.speaker, 'exchange')",
        "user_id": "s.customer_number",
        "channel": "'voice'",
        "user_text": "CASE WHEN item.speaker = 'user' THEN item.text END",
        "agent_text": "CASE WHEN item.speaker = 'agent' THEN item.text END",
        "agent_name": "s.agent_name",
        "derived": """CASE WHEN item.speaker IS NULL THEN '["turn_number", "timestamp", "speaker"]' """
        """ELSE '["turn_number", "timestamp"]' END""",
        # nobody knows who said it, and a sale must not hang on a guess: the words are kept, under neither speaker
        "extra": "CASE WHEN item.speaker IS NULL THEN json_object('unattributed_text', item.text) END",
    },
    required=_REQUIRED,
    explode=_EXPLODE,
)

ADAPTER = Adapter(
    name="converza",
    version="3",
    doc="Call documents of the Converza pipeline: each is a call and, cut at 'Agent:' and 'Customer:', its turns. The "
    "session is the call. All turns carry the call's time, so nothing can be said about how long a turn took.",
    tables=(_CALLS, _TURNS),
    formats=(".json", ".jsonl", ".ndjson"),
)
