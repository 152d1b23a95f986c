{{ config(materialized='day_replace', day_column='call_date', partitioned=false) }}

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
    signals.cleaned_text,
    signals.customer_turn_count,
    signals.is_converted,
    signals.upsell_amount,
    signals.offered_amount,
    signals.reversed_amount,
    signals.currency,
    signals.is_currency_mixed,
    signals.offer_count,
    signals.sentiment,
    signals.sentiment_score,
    signals.signal_source,
    signals.text_is_converted,
    calls.load_id
from {{ ref('bronze_calls') }} as calls
left join {{ source('intermediate', 'call_signals') }} as signals
    on
        calls.call_date = signals.call_date
        and calls.source = signals.source
        and calls.call_id = signals.call_id
        and signals.call_date between {{ window_start() }} and {{ window_end() }}
where calls.call_date between {{ window_start() }} and {{ window_end() }}
