select
    session_date,
    session_id,
    source,
    user_id,
    user_type,
    channel,
    language,
    started_at,
    ended_at,
    duration_seconds,
    turn_count as declared_turn_count,
    final_outcome as declared_outcome,
    transfer_reason,
    csat
from {{ source('raw', 'sessions') }}
