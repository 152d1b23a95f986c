{{ config(meta={'dagster': {'ref': {'name': 'cost_daily'}}}) }}

-- Guards against fan-out: a session has tokens of several models and providers, and several prices.
with counted as (
    select
        session_date,
        sum(session_count) as session_count,
        sum(tokens_in) as tokens_in,
        sum(tokens_out) as tokens_out,
        sum(tts_characters) as tts_characters
    from {{ ref('cost_daily') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
),

sessions as (
    select
        session_date,
        count(*) as session_count,
        sum(tokens_in) as tokens_in,
        sum(tokens_out) as tokens_out,
        sum(tts_characters) as tts_characters
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
)

select
    sessions.session_date as day_of_sessions,
    counted.session_date as day_counted,
    sessions.session_count as expected,
    counted.session_count as counted
from sessions
full outer join counted on sessions.session_date = counted.session_date
where
    counted.session_count is distinct from sessions.session_count
    or counted.tokens_in is distinct from sessions.tokens_in
    or counted.tokens_out is distinct from sessions.tokens_out
    or counted.tts_characters is distinct from sessions.tts_characters
