select
    session_date,
    session_id,
    source,
    avg_asr_confidence,
    avg_intent_confidence,
    misunderstanding_rate,
    silence_rate,
    recovery_success as is_recovered,
    escalation as is_escalated
from {{ source('raw', 'session_metrics') }}
