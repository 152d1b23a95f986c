{{ config(meta={'dagster': {'ref': {'name': 'agg_sessions_daily'}}}) }}

-- Guards against fan-out and lost segments: what the day's rows add up to is what the day's sessions add up to.
with counted as (
    select
        session_date,
        sum(session_count) as session_count,
        sum(turn_count) as turn_count,
        sum(error_turn_count) as error_turn_count,
        sum(asr_turn_count) as asr_turn_count,
        sum(completed_session_count) as completed_session_count
    from {{ ref('agg_sessions_daily') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
),

sessions as (
    select
        session_date,
        count(*) as session_count,
        sum(turn_count) as turn_count,
        sum(error_turn_count) as error_turn_count,
        sum(asr_turn_count) as asr_turn_count,
        count(*) filter (where final_outcome = 'completed') as completed_session_count
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
    or counted.turn_count is distinct from sessions.turn_count
    or counted.error_turn_count is distinct from sessions.error_turn_count
    or counted.asr_turn_count is distinct from sessions.asr_turn_count
    or counted.completed_session_count is distinct from sessions.completed_session_count
