{{ config(materialized='day_replace', day_column='call_date', partitioned=false) }}

-- The transcript comes by way of call_signals, which outlives the text: whatever is read out of it must not change when
-- retention has taken it from raw and the day is built again.
select
    calls.call_date,
    calls.source,
    calls.call_id,
    calls.session_id,
    calls.user_id,
    calls.agent_name,
    calls.started_at,
    calls.duration_seconds,
    calls.language,
    signals.transcript,
    calls.booked_is_converted,
    calls.booked_upsell_amount,
    calls.booked_currency,
    loads.load_id
from {{ ref('stg_calls') }} as calls
inner join {{ source('governance', 'loads') }} as loads
    on
        calls.call_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
left join {{ source('intermediate', 'call_signals') }} as signals
    on
        calls.call_date = signals.call_date
        and calls.source = signals.source
        and calls.call_id = signals.call_id
        and signals.call_date between {{ window_start() }} and {{ window_end() }}
where calls.call_date between {{ window_start() }} and {{ window_end() }}
