{{ config(materialized='view') }}

select
    session_date,
    session_id,
    turn_number,
    turn_at,
    speaker,
    is_user_turn,
    user_id,
    channel,
    user_type,
    region,
    language,
    module,
    intent,
    intent_confidence,
    asr_confidence,
    error_type,
    is_error_turn,
    asr_ms,
    llm_ms,
    tts_ms,
    total_ms,
    is_cancelled,
    model_version,
    experiment_variant,
    load_id
from {{ ref('int_turns_sessionised') }}
