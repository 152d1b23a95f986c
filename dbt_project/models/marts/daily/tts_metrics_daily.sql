{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Turns that say anything of speech synthesis. A cancelled reply is left out of times, as of all latency, but not
-- out of barge-ins: the interruption is what cancels it. Whole microseconds, so that sums do not depend on an order.
select
    session_date,
    source,
    tts_provider,
    tts_voice,
    tts_rate,
    tts_pitch,
    tts_style,
    audio_encoding,
    count(*) as turn_count,
    count(tts_fallback_count) as fallback_known_turn_count,
    count(*) filter (where tts_fallback_count > 0) as fallback_turn_count,
    sum(tts_fallback_count)::bigint as fallback_count,
    count(*) filter (where transcode_ms between 0 and 86400000 and not is_cancelled) as transcoded_turn_count,
    sum(round(transcode_ms * 1000)::bigint) filter (
        where transcode_ms between 0 and 86400000 and not is_cancelled
    )::bigint as transcode_us,
    count(sentence_chunks) as chunked_turn_count,
    sum(sentence_chunks)::bigint as sentence_chunk_count,
    count(*) filter (where chunk_pause_ms between 0 and 86400000 and not is_cancelled) as paused_turn_count,
    sum(round(chunk_pause_ms * 1000)::bigint) filter (
        where chunk_pause_ms between 0 and 86400000 and not is_cancelled
    )::bigint as chunk_pause_us,
    count(is_barge_in) as barge_in_known_turn_count,
    count(*) filter (where is_barge_in) as barge_in_turn_count,
    min(load_id collate "C") as load_id
from {{ ref('int_turns_sessionised') }}
where
    session_date between {{ window_start() }} and {{ window_end() }}
    and num_nonnulls(
        tts_provider, tts_voice, tts_rate, tts_pitch, tts_style, audio_encoding, tts_fallback_count, transcode_ms,
        sentence_chunks, chunk_pause_ms, is_barge_in
    ) > 0
group by session_date, source, tts_provider, tts_voice, tts_rate, tts_pitch, tts_style, audio_encoding
