{{ config(
    materialized='day_replace',
    day_column='session_date',
    partitioned=false,
    pre_hook='set local enable_mergejoin = off',
) }}
-- pre_hook: the planner sorts a million turns to join them to their sessions (5.5 s in place of 3.4 s by hash).

-- Counts by whole millisecond: percentiles of any span of days and any segment follow from them exactly, which averages
-- of percentiles never give. Rounded down, so that "p95 < 500" holds of the counts if and only if it held of the
-- values. A turn that could have been timed and was not has a row without latency: one scan gives the coverage too.
-- Turns are counted under a number for their segment: grouping by its five texts took 31 s for a million turns.
{%- set components = [
    ('asr', 'is_user_turn and is_spoken'),
    ('llm', 'is_reply'),
    ('tts', 'is_reply and is_spoken'),
    ('transcode', 'is_reply and is_spoken'),
    ('total', 'is_reply'),
] %}
with

sessions as (
    select
        sessions.session_date,
        sessions.session_id,
        sessions.source,
        declared.channel as declared_channel,
        sessions.language,
        sessions.model_version,
        sessions.experiment_variant,
        sessions.load_id,
        dense_rank() over (
            partition by sessions.session_date
            order by
                sessions.source collate "C", declared.channel collate "C", sessions.language collate "C",
                sessions.model_version collate "C", sessions.experiment_variant collate "C"
        )::integer as segment
    from {{ ref('fact_voice_ai_sessions') }} as sessions
    left join {{ ref('stg_sessions') }} as declared
        on
            sessions.session_date = declared.session_date
            and sessions.session_id = declared.session_id
            and sessions.source = declared.source
            and declared.session_date between {{ window_start() }} and {{ window_end() }}
    where sessions.session_date between {{ window_start() }} and {{ window_end() }}
),

turns as (
    select
        sessions.session_date,
        sessions.segment,
        -- one session may be heard and written (a call, then text messages), unless its source declares the channel
        coalesce(sessions.declared_channel, turns.channel) as channel,
        coalesce(sessions.declared_channel, turns.channel) = 'voice' as is_spoken,
        turns.is_user_turn,
        coalesce(turns.speaker <> 'user', true) as is_reply,
        turns.asr_ms,
        turns.llm_ms,
        turns.tts_ms,
        turns.transcode_ms,
        turns.total_ms
    from {{ ref('int_turns_sessionised') }} as turns
    inner join sessions on turns.session_date = sessions.session_date and turns.session_id = sessions.session_id
    where
        turns.session_date between {{ window_start() }} and {{ window_end() }}
        and not coalesce(turns.is_cancelled, false)
),

-- what is no duration counts as not measured (the checks of raw.turns refuse such a day)
counts as (
    {% for component, is_expected in components -%}
        select
            session_date,
            segment,
            channel,
            '{{ component }}' as component,
            case
                when {{ component }}_ms between 0 and 86400000 then floor({{ component }}_ms)::integer
            end as latency_ms,
            count(*) as turn_count
        from turns
        where {{ component }}_ms is not null or ({{ is_expected }})
        group by session_date, segment, channel, latency_ms
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

segments as (
    select
        segment,
        session_date,
        source,
        language,
        model_version,
        experiment_variant,
        min(load_id collate "C") as load_id
    from sessions
    group by segment, session_date, source, language, model_version, experiment_variant
)

-- segments that differ only in whether a channel was declared come together again
select
    segments.session_date,
    segments.source,
    counts.component,
    counts.channel,
    segments.language,
    segments.model_version,
    segments.experiment_variant,
    counts.latency_ms,
    sum(counts.turn_count)::bigint as turn_count,
    min(segments.load_id collate "C") as load_id
from counts
inner join segments on counts.session_date = segments.session_date and counts.segment = segments.segment
group by
    segments.session_date, segments.source, counts.component, counts.channel, segments.language,
    segments.model_version, segments.experiment_variant, counts.latency_ms
