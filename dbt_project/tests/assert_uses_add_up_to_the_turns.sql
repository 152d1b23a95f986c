{{ config(meta={'dagster': {'ref': {'name': 'user_sessions'}}}) }}

-- Guards against fan-out: each turn belongs to one user and one module of its session.
with counted as (
    select
        session_date,
        sum(turn_count) as turn_count
    from {{ ref('user_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
),

sessions as (
    select
        session_date,
        sum(turn_count) as turn_count
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
)

select
    sessions.session_date as day_of_sessions,
    counted.session_date as day_counted,
    sessions.turn_count as expected,
    counted.turn_count as counted
from sessions
full outer join counted on sessions.session_date = counted.session_date
where
    counted.turn_count is distinct from sessions.turn_count
