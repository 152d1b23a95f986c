{{ config(meta={'dagster': {'ref': {'name': 'fact_voice_ai_sessions'}}}) }}

-- Guards against fan-out: joining turns to anything else would multiply them. The turns that the session fact counts
-- and the rows of the turn fact of the same day must be the same. Structure, not data: a bad file cannot break this.
with sessions as (
    select
        session_date,
        sum(turn_count) as turn_count
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
),

turns as (
    select
        session_date,
        count(*) as turn_count
    from {{ ref('fact_voice_ai_turns') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date
)

select
    sessions.session_date as day_of_sessions,
    turns.session_date as day_of_turns,
    sessions.turn_count as turns_counted,
    turns.turn_count as turns_filed
from sessions
full outer join turns on sessions.session_date = turns.session_date
where sessions.turn_count is distinct from turns.turn_count
