{{ config(meta={'dagster': {'ref': {'name': 'agg_latency_histogram_daily'}}}) }}

-- Guards against fan-out: the histogram joins turns to their sessions and counts them once per component. Every value
-- of a turn that was not cancelled is in it once, and so is every reply, of which a whole reply's time is expected.
with counted as (
    select
        session_date,
        source,
        coalesce(sum(turn_count) filter (where component = 'asr' and latency_ms is not null), 0) as asr,
        coalesce(sum(turn_count) filter (where component = 'llm' and latency_ms is not null), 0) as llm,
        coalesce(sum(turn_count) filter (where component = 'tts' and latency_ms is not null), 0) as tts,
        coalesce(sum(turn_count) filter (where component = 'transcode' and latency_ms is not null), 0) as transcode,
        coalesce(sum(turn_count) filter (where component = 'total' and latency_ms is not null), 0) as total,
        coalesce(sum(turn_count) filter (where component = 'total'), 0) as replies
    from {{ ref('agg_latency_histogram_daily') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date, source
),

turns as (
    select
        session_date,
        source,
        count(*) filter (where asr_ms between 0 and 86400000) as asr,
        count(*) filter (where llm_ms between 0 and 86400000) as llm,
        count(*) filter (where tts_ms between 0 and 86400000) as tts,
        count(*) filter (where transcode_ms between 0 and 86400000) as transcode,
        count(*) filter (where total_ms between 0 and 86400000) as total,
        count(*) filter (where coalesce(speaker <> 'user', true) or total_ms is not null) as replies
    from {{ ref('int_turns_sessionised') }}
    where session_date between {{ window_start() }} and {{ window_end() }} and not is_cancelled
    group by session_date, source
)

-- a day and source of which nothing is expected has turns and no row in the histogram
select
    turns.*,
    counted.replies as replies_counted
from turns
left join counted on turns.session_date = counted.session_date and turns.source = counted.source
where
    turns.asr <> coalesce(counted.asr, 0)
    or turns.llm <> coalesce(counted.llm, 0)
    or turns.tts <> coalesce(counted.tts, 0)
    or turns.transcode <> coalesce(counted.transcode, 0)
    or turns.total <> coalesce(counted.total, 0)
    or turns.replies <> coalesce(counted.replies, 0)
