{{ config(meta={'dagster': {'ref': {'name': 'flow_drop_off_points'}}}) }}

-- Guards against counting drop-off events: who dropped off twice, or completed after all, would be counted too often.
with

sessions as (
    select
        event_date,
        count(*) as dropped_off_count
    from {{ ref('conversation_sessions') }}
    where
        event_date between {{ window_start() }} and {{ window_end() }}
        and status = 'dropped_off'
    group by event_date
),

points as (
    select
        event_date,
        sum(drop_off_count) as dropped_off_count
    from {{ ref('flow_drop_off_points') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
)

select
    sessions.event_date as day_of_sessions,
    points.event_date as day_of_points,
    sessions.dropped_off_count as sessions_dropped_off,
    points.dropped_off_count as points_counted
from sessions
full outer join points on sessions.event_date = points.event_date
where sessions.dropped_off_count is distinct from points.dropped_off_count
