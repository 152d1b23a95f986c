{{ config(meta={'dagster': {'ref': {'name': 'gold_performance_metrics'}}}) }}

-- Guards against fan-out and loss: the three tables and the agents' day hold each call of the window once.
with

counted as (
    select
        call_date,
        count(*) as calls
    from {{ ref('bronze_calls') }}
    where call_date between {{ window_start() }} and {{ window_end() }}
    group by call_date
    union all
    select
        call_date,
        count(*) as calls
    from {{ ref('silver_calls') }}
    where call_date between {{ window_start() }} and {{ window_end() }}
    group by call_date
    union all
    select
        call_date,
        count(*) as calls
    from {{ ref('gold_performance_metrics') }}
    where call_date between {{ window_start() }} and {{ window_end() }}
    group by call_date
    union all
    select
        call_date,
        sum(call_count) as calls
    from {{ ref('agent_performance_daily') }}
    where call_date between {{ window_start() }} and {{ window_end() }}
    group by call_date
)

select
    call_date,
    min(calls) as fewest,
    max(calls) as most,
    count(*) as tables_with_the_day
from counted
group by call_date
having min(calls) <> max(calls) or count(*) <> 4
