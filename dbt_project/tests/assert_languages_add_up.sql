{{ config(meta={'dagster': {'ref': {'name': 'asr_by_language'}}}) }}

-- Guards against fan-out: figures of turns and of sessions stand in one row and come from two sides of a join.
with counted as (
    select
        session_date,
        sum(session_count) as session_count,
        sum(turn_count) as turn_count,
        sum(user_turn_count) as user_turn_count,
        sum(error_turn_count) as error_turn_count
    from {{ ref('asr_by_language') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
),

sessions as (
    select
        session_date,
        count(*) as session_count,
        sum(turn_count) as turn_count,
        sum(user_turn_count) as user_turn_count,
        sum(error_turn_count) as error_turn_count
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
    or counted.user_turn_count is distinct from sessions.user_turn_count
    or counted.error_turn_count is distinct from sessions.error_turn_count
