{{ config(
    materialized='day_replace',
    day_column='session_date',
) }}

-- Attributes are constant within a session; min() makes the choice reproducible where an emitter contradicts itself,
-- on every server alike because of the collation, and is_outcome_contradictory publishes that it did.
with

turns as (
    select * from {{ ref('int_turns_sessionised') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
),

sessions as (
    select
        session_date,
        session_id,
        min(source collate "C") as source,
        min(user_id collate "C") as user_id,
        min(channel collate "C") as channel,
        min(user_type collate "C") as user_type,
        min(region collate "C") as region,
        min(disability collate "C") as disability,
        min(language collate "C") as language,
        min(agent_name collate "C") as agent_name,
        min(model_version collate "C") as model_version,
        min(deployment_id collate "C") as deployment_id,
        min(experiment_id collate "C") as experiment_id,
        min(experiment_variant collate "C") as experiment_variant,
        min(turn_at) as started_at,
        max(turn_at) as ended_at,
        count(*) as turn_count,
        count(*) filter (where is_user_turn) as user_turn_count,
        count(*) filter (where is_error_turn) as error_turn_count,
        count(*) filter (where error_type = 'misunderstanding') as misunderstanding_turn_count,
        count(*) filter (where error_type = 'silence') as silence_turn_count,
        count(*) filter (where error_type = 'repeated_intent_failure') as repeated_intent_failure_turn_count,
        count(*) filter (where is_user_turn and asr_confidence is not null) as asr_turn_count,
        {{ exact_avg('asr_confidence', 'is_user_turn') }} as avg_asr_confidence,
        min(asr_confidence) filter (where is_user_turn) as min_asr_confidence,
        {{ exact_avg('intent_confidence', 'is_user_turn') }} as avg_intent_confidence,
        sum(cost_usd) as cost_usd,
        max(csat) as csat,
        min(session_outcome collate "C") as declared_outcome,
        coalesce(
            min(session_outcome collate "C") <> max(session_outcome collate "C"), false
        ) as is_outcome_contradictory,
        min(transfer_reason collate "C") as transfer_reason,
        min(load_id collate "C") as load_id
    from turns
    group by session_date, session_id
),

days as (
    select
        session_date,
        max(ended_at) as last_turn_at
    from sessions
    group by session_date
),

-- Up to when a day has been observed: for ever once a later day was loaded, else until its own last turn. A session
-- without outcome counts as abandoned only when it has been silent for the timeout before that.
observed as (
    select
        days.session_date,
        case
            when exists (
                select 1
                from {{ source('governance', 'loads') }} as later
                where
                    later.dataset = 'turns'
                    and later.is_live
                    and later.rows_loaded > 0
                    and later.day > days.session_date
                    and later.day <= days.session_date + {{ var('session_span_days') }}
            ) then 'infinity'::timestamptz
            else days.last_turn_at
        end as observed_until
    from days
)


select
    sessions.session_date,
    sessions.session_id,
    sessions.source,
    sessions.user_id,
    sessions.channel,
    sessions.user_type,
    sessions.region,
    sessions.disability,
    sessions.language,
    sessions.agent_name,
    sessions.model_version,
    sessions.deployment_id,
    sessions.experiment_id,
    sessions.experiment_variant,
    sessions.started_at,
    sessions.ended_at,
    extract(epoch from sessions.ended_at - sessions.started_at)::double precision as duration_seconds,
    sessions.turn_count,
    sessions.user_turn_count,
    sessions.error_turn_count,
    sessions.misunderstanding_turn_count,
    sessions.silence_turn_count,
    sessions.repeated_intent_failure_turn_count,
    sessions.error_turn_count::double precision / sessions.turn_count as error_turn_proportion,
    sessions.asr_turn_count,
    sessions.avg_asr_confidence,
    sessions.min_asr_confidence,
    sessions.avg_intent_confidence,
    sessions.cost_usd,
    sessions.csat,
    case
        when sessions.declared_outcome is not null then sessions.declared_outcome
        when sessions.ended_at + {{ session_timeout() }} < observed.observed_until then 'abandoned'
        else 'in_progress'
    end as final_outcome,
    case
        when sessions.declared_outcome is not null then 'declared'
        else 'inferred'
    end as outcome_basis,
    sessions.is_outcome_contradictory,
    sessions.transfer_reason,
    sessions.load_id
from sessions
inner join observed on sessions.session_date = observed.session_date
