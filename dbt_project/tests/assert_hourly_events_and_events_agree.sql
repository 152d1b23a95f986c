{{ config(meta={'dagster': {'ref': {'name': 'conversation_events_hourly'}}}) }}

-- Guards against fan-out: joining events to their conversations would multiply them, or lose those without one.
with

events as (
    select
        events.event_date,
        count(*) as event_count
    from {{ source('raw', 'experiment_events') }} as events
    inner join {{ source('governance', 'loads') }} as loads
        on
            events.event_date = loads.day
            and loads.dataset = 'marts'
            and loads.is_live
    where events.event_date between {{ window_start() }} and {{ window_end() }}
    group by events.event_date
    having count(*) > 0
),

counted as (
    select
        event_date,
        sum(event_count) as event_count
    from {{ ref('conversation_events_hourly') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
)

select
    events.event_date as day_of_events,
    counted.event_date as day_counted,
    events.event_count as events_loaded,
    counted.event_count as events_counted
from events
full outer join counted on events.event_date = counted.event_date
where events.event_count is distinct from counted.event_count
