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
    turns.asr_confidence,
    turns.error_type,
    coalesce(turns.error_type in ('misunderstanding', 'silence', 'repeated_intent_failure'), false) as is_error_turn,
    turns.asr_ms,
    turns.llm_ms,
    turns.tts_ms,
    turns.total_ms,
    turns.tokens_in,
    turns.tokens_out,
    turns.tts_characters,
    turns.cost_usd,
    turns.is_barge_in,
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
where
    -- repeats the join's bounds as constants so that the planner reads only these partitions
    turns.turn_date between {{ window_start() }} and {{ window_end() }} + {{ var('session_span_days') }}
