{{ config(meta={'dagster': {'ref': {'name': 'experiment_latency_histogram_daily'}}}) }}

-- Guards against percentiles of other events than the ones whose coverage is stated beside them.
with

events as (
    select
        event_date,
        sum(event_with_latency_count) as event_count
    from {{ ref('experiment_events_daily') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
    having sum(event_with_latency_count) > 0
),

latencies as (
    select
        event_date,
        sum(event_count) as event_count
    from {{ ref('experiment_latency_histogram_daily') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
    group by event_date
)

select
    events.event_date as day_of_events,
    latencies.event_date as day_of_latencies,
    events.event_count as events_with_latency,
    latencies.event_count as latencies_counted
from events
full outer join latencies on events.event_date = latencies.event_date
where events.event_count is distinct from latencies.event_count
