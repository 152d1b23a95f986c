{{ config(materialized='day_replace', day_column='call_date', partitioned=false) }}

select
    call_date,
    source,
    call_id,
    session_id,
    agent_name,
    user_id,
    started_at,
    duration_seconds,
    language,
    is_converted,
    upsell_amount,
    offered_amount,
    reversed_amount,
    currency,
    is_currency_mixed,
    offer_count,
    sentiment,
    sentiment_score,
    signal_source,
    is_converted <> text_is_converted as is_contradicted_by_text,
    load_id
from {{ ref('silver_calls') }}
where call_date between {{ window_start() }} and {{ window_end() }}
