{{ config(meta={'dagster': {'ref': {'name': 'conversation_funnel'}}}) }}

-- Guards against a funnel of other conversations than the ones that are listed (a seed with a flow twice would multiply
-- them), and against a stage that is larger than the one before it.
with

sessions as (
    select
        event_date,
        count(*) as session_count,
        count(*) filter (where has_start) as started_count,
        count(*) filter (where has_start and status = 'completed') as completed_count,
        count(*) filter (where not has_start and status = 'completed') as continued_completed_count,
        count(*) filter (where status = 'dropped_off') as dropped_off_count,
        count(distinct session_id) as distinct_count
    from {{ ref('conversation_sessions') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
),

funnel as (
    select
        event_date,
        sum(session_count) as session_count,
        sum(started_session_count) as started_count,
        sum(completed_session_count) as completed_count,
        sum(continued_completed_session_count) as continued_completed_count,
        sum(dropped_off_session_count + continued_dropped_off_session_count) as dropped_off_count,
        bool_and(
            started_session_count >= engaged_session_count
            and engaged_session_count >= progressed_session_count
            and progressed_session_count >= completed_session_count
            and started_session_count
            = completed_session_count + dropped_off_session_count + in_progress_session_count
            and session_count = started_session_count + continued_session_count
        ) as is_monotone
    from {{ ref('conversation_funnel') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
)

select
    sessions.event_date as day_of_sessions,
    funnel.event_date as day_of_funnel,
    sessions.session_count as sessions_listed,
    funnel.session_count as sessions_counted,
    funnel.is_monotone
from sessions
full outer join funnel on sessions.event_date = funnel.event_date
where
    sessions.session_count is distinct from funnel.session_count
    or sessions.session_count is distinct from sessions.distinct_count
    or sessions.started_count is distinct from funnel.started_count
    or sessions.completed_count is distinct from funnel.completed_count
    or sessions.continued_completed_count is distinct from funnel.continued_completed_count
    or sessions.dropped_off_count is distinct from funnel.dropped_off_count
    or not funnel.is_monotone
