select
    turn_date,
    session_id,
    call_id,
    turn_number,
    source,
    asr_ms,
    llm_ms,
    tts_ms,
    total_ms,
    tokens_in,
    tokens_out,
    asr_confidence,
    barge_in as is_barge_in
from {{ source('raw', 'turn_metrics') }}
