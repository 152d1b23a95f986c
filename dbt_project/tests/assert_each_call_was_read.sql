{{ config(meta={'dagster': {'ref': {'name': 'silver_calls'}}}) }}

-- Guards against a dbt run without the step before it: signals that are missing, or were read from another load of the
-- calls, would be published as "nothing can be known".
select
    calls.call_date,
    calls.source,
    calls.call_id,
    calls.load_id as loaded,
    signals.load_id as was_read
from {{ ref('silver_calls') }} as silver
inner join {{ source('raw', 'calls') }} as calls
    on
        silver.call_date = calls.call_date
        and silver.source = calls.source
        and silver.call_id = calls.call_id
        and calls.call_date between {{ window_start() }} and {{ window_end() }}
left join {{ source('intermediate', 'call_signals') }} as signals
    on
        silver.call_date = signals.call_date
        and silver.source = signals.source
        and silver.call_id = signals.call_id
where
    silver.call_date between {{ window_start() }} and {{ window_end() }}
    and signals.load_id is distinct from calls.load_id
