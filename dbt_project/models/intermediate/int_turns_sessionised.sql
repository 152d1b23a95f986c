{{ config(
    materialized='day_replace',
    day_column='session_date',
    contract={'enforced': true},
) }}

-- A session starts on a day that has one of its turns and follows no other such day within the span. The rule looks
-- at neighbouring days only, so a run of one day and a run of a year give the same rows in whatever order days arrive.
with

session_days as (
    select
        session_id,
        turn_date,
        lag(turn_date) over (partition by session_id order by turn_date) as previous_date
    from {{ source('raw', 'session_days') }}
    where
        turn_date
        between {{ window_start() }} - {{ var('session_span_days') }}
        and {{ window_end() }} + {{ var('session_span_days') }}
),

session_starts as (
    select
        session_id,
        turn_date as session_date
    from session_days
    where
        turn_date between {{ window_start() }} and {{ window_end() }}
        and (previous_date is null or previous_date < turn_date - {{ var('session_span_days') }})
)

select
    session_starts.session_date,
    turns.session_id,
    turns.turn_date,
    turns.turn_number,
    turns.turn_at,
    turns.speaker,
    turns.is_user_turn,
    turns.source,
    turns.user_id,
    turns.channel,
    turns.user_type,
    turns.region,
    turns.disability,
    turns.language,
    turns.module,
    turns.flow_id,
    turns.state,
    turns.intent,
    turns.intent_confidence,
    coalesce(turns.asr_confidence, measured.asr_confidence) as asr_confidence,
    turns.error_type,
    coalesce(turns.error_type in ('misunderstanding', 'silence', 'repeated_intent_failure'), false) as is_error_turn,
    coalesce(turns.asr_ms, measured.asr_ms) as asr_ms,
    coalesce(turns.llm_ms, measured.llm_ms) as llm_ms,
    coalesce(turns.tts_ms, measured.tts_ms) as tts_ms,
    coalesce(turns.total_ms, measured.total_ms) as total_ms,
    coalesce(turns.tokens_in, measured.tokens_in) as tokens_in,
    coalesce(turns.tokens_out, measured.tokens_out) as tokens_out,
    turns.tts_characters,
    turns.cost_usd,
    coalesce(turns.is_barge_in, measured.is_barge_in) as is_barge_in,
    turns.is_cancelled,
    turns.agent_name,
    turns.model_version,
    turns.deployment_id,
    turns.experiment_id,
    turns.experiment_variant,
    turns.session_outcome,
    turns.transfer_reason,
    turns.csat,
    loads.load_id
from session_starts
inner join {{ ref('stg_turns') }} as turns
    on
        session_starts.session_id = turns.session_id
        and turns.turn_date
        between session_starts.session_date
        and session_starts.session_date + {{ var('session_span_days') }}
inner join {{ source('governance', 'loads') }} as loads
    on
        session_starts.session_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
-- the day is part of the key: within one, a measurement is unique, so no turn can be multiplied
left join {{ ref('stg_turn_metrics') }} as measured
    on
        turns.turn_date = measured.turn_date
        and turns.session_id = measured.session_id
        and turns.turn_number = measured.turn_number
        and turns.call_id is not distinct from measured.call_id
        and turns.source = measured.source
        and measured.turn_date between {{ window_start() }} and {{ window_end() }} + {{ var('session_span_days') }}
where
    -- repeats the join's bounds as constants so that the planner reads only these partitions
    turns.turn_date between {{ window_start() }} and {{ window_end() }} + {{ var('session_span_days') }}
