-- The last thirty days, counted back from the last published day: a stopped pipeline must not look like users leaving.
with

last_day as (
    select max(session_date) as session_date from {{ certified('fact_voice_ai_sessions') }}
)

select
    sessions.user_id,
    count(*) as session_count,
    sum(sessions.turn_count)::bigint as interaction_count,
    avg(sessions.duration_seconds) as avg_duration_seconds,
    max(sessions.ended_at) as last_activity_at
from {{ certified('fact_voice_ai_sessions') }} as sessions
cross join last_day
where
    sessions.user_id is not null
    and sessions.session_date > last_day.session_date - 30
group by sessions.user_id
