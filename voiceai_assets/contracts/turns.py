"""The canonical turn: one row per turn of a conversation, whatever system it came from."""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

SPEAKERS = ("user", "agent", "exchange")
USER_TYPES = ("first_time", "returning")
OUTCOMES = ("completed", "abandoned", "transferred")
#: The line of a file stands for a number that is missing, so it may be large; one of nine digits is a telephone's.
LAST_TURN = 99_999_999


def _ms(name: str, doc: str, *aliases: str) -> Field:
    return Field(name, Kind.NUMBER, f"{doc}, in milliseconds; null where it was not measured", aliases=aliases)


def _text(name: str, doc: str) -> Field:
    return Field(name, Kind.TEXT, doc)


def _id(name: str, doc: str) -> Field:
    return Field(name, Kind.TEXT, doc, identifier=True)


def turn_number(doc: str) -> Field:
    """The field of that name: what is beyond it is no number of a turn."""
    return Field("turn_number", Kind.INTEGER, doc, required=True, minimum=1, maximum=LAST_TURN)


FIELDS = (
    Field("session_id", Kind.TEXT, "the conversation", required=True, identifier=True),
    _id("turn_id", "identity of the row where the emitter gives one"),
    turn_number("position in the session, from 1"),
    Field("timestamp", Kind.INSTANT, "when the turn began; without offset it is in the source's zone", required=True),
    Field("speaker", Kind.TEXT, "exchange = prompt and answer in one row", default="exchange", choices=SPEAKERS),
    Field("user_id", Kind.TEXT, "keyed pseudonym of the caller", person=True),
    Field("channel", Kind.TEXT, "voice, web, ussd, sms, chat, ...", default="voice"),
    Field("user_type", Kind.TEXT, "whether the caller had used the service before", choices=USER_TYPES),
    _text("region", "where the caller is"),
    _text("disability", "declared disability"),
    _text("language", "language of the turn"),
    _text("module", "part of the dialogue"),
    _id("flow_id", "dialogue flow"),
    _id("flow_version", "version of the flow"),
    _text("state", "state within the flow"),
    Field("user_text", Kind.TEXT, "what the caller said, redacted", free_text=True),
    Field("agent_text", Kind.TEXT, "what the assistant said, redacted", free_text=True),
    Field("reference_word_count", Kind.INTEGER, "words that were said; counted in extra.reference_transcript"),
    Field("word_error_count", Kind.INTEGER, "words among them recognised wrongly; counted against user_text"),
    _text("intent", "recognised intent"),
    Field("intent_confidence", Kind.NUMBER, "0 to 1"),
    Field("asr_confidence", Kind.NUMBER, "0 to 1; meaningless, hence null, on agent rows"),
    _text("error_type", "misunderstanding, silence, repeated_intent_failure, noise, technical, ..."),
    _ms("asr_ms", "speech recognition"),
    _ms("llm_ms", "language model"),
    _ms("tts_ms", "speech synthesis"),
    _ms("total_ms", "whole reply", "total_latency_ms"),
    _ms("transcode_ms", "audio conversion", "audio_transcode_ms"),
    _ms("turn_duration_ms", "whole turn"),
    _ms("user_speech_ms", "caller's speech"),
    Field("tokens_in", Kind.INTEGER, "tokens sent to the language model"),
    Field("tokens_out", Kind.INTEGER, "tokens it returned"),
    Field("tts_characters", Kind.INTEGER, "characters synthesised"),
    Field("cost_usd", Kind.MONEY, "cost of the turn in US dollars"),
    _text("tts_provider", "speech synthesis provider"),
    _text("tts_voice", "voice"),
    _text("tts_rate", "speech rate setting"),
    _text("tts_pitch", "pitch setting"),
    _text("tts_style", "style setting"),
    _text("audio_encoding", "audio format sent to the caller"),
    Field("tts_fallback_count", Kind.INTEGER, "times synthesis fell back to another provider"),
    Field("sentence_chunks", Kind.INTEGER, "sentence chunks synthesised"),
    _ms("chunk_pause_ms", "pause between chunks"),
    Field("barge_in", Kind.BOOLEAN, "the caller spoke over the prompt", aliases=("barge_in_triggered",)),
    Field("cancelled", Kind.BOOLEAN, "the reply was cancelled; excluded from latency percentiles"),
    _text("agent_name", "assistant or human agent"),
    _id("model_version", "version of the dialogue model"),
    _id("deployment_id", "release that served the turn"),
    _id("experiment_id", "experiment"),
    _id("experiment_variant", "variant"),
    Field("session_outcome", Kind.TEXT, "may stand on any turn of the session", choices=OUTCOMES),
    _text("transfer_reason", "why the caller was transferred"),
    Field("sentiment", Kind.NUMBER, "sentiment of the caller, as the emitter scored it"),
    Field("csat", Kind.NUMBER, "satisfaction, as the caller gave it"),
    Field("error", Kind.TEXT, "technical error message", free_text=True),
    Field("derived", Kind.TEXT_LIST, "fields that were inferred before they reached us"),
    EXTRA,
)

TURNS = Contract(
    dataset="turns",
    grain="one row per turn of a conversation, as it arrived",
    fields=FIELDS,
    identity=("session_id", "turn_id|turn_number", "turn_id|speaker"),
    day_column="turn_date",
    time_field="timestamp",
)
