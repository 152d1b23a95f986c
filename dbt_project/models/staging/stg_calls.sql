select
    call_date,
    source,
    call_id,
    coalesce(session_id, call_id) as session_id,
    user_id,
    agent_name,
    timestamp as started_at,
    duration_seconds,
    language,
    is_converted as booked_is_converted,
    upsell_amount as booked_upsell_amount,
    currency as booked_currency
from {{ source('raw', 'calls') }}
