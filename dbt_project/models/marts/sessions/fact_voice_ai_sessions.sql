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
        {{ first_caller() }} as user_id,
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
        count(*) filter (where is_user_turn and is_error_turn) as user_error_turn_count,
        count(*) filter (where is_misunderstanding) as misunderstanding_turn_count,
        count(*) filter (where is_silence) as silence_turn_count,
        count(*) filter (where is_repeated_intent_failure) as repeated_intent_failure_turn_count,
        count(*) filter (where error_type = 'noise') as noise_turn_count,
        count(*) filter (where error_component is not null) as technical_error_turn_count,
        count(*) filter (where is_barge_in) as barge_in_turn_count,
        sum(tokens_in)::bigint as tokens_in,
        sum(tokens_out)::bigint as tokens_out,
        sum(tts_characters)::bigint as tts_characters,
        count(*) filter (where {{ is_confidence('asr_confidence') }}) as asr_turn_count,
        {{ exact_avg('asr_confidence', 'is_user_turn') }} as avg_asr_confidence,
        min(asr_confidence) filter (where is_user_turn) as min_asr_confidence,
        count(*) filter (where {{ is_confidence('asr_confidence', 'low') }}) as low_confidence_turn_count,
        count(*) filter (where {{ is_confidence('asr_confidence', 'medium') }}) as medium_confidence_turn_count,
        count(*) filter (where {{ is_confidence('asr_confidence', 'high') }}) as high_confidence_turn_count,
        coalesce(sum(reference_word_count) filter (where is_user_turn), 0)::bigint as reference_word_count,
        coalesce(sum(word_error_count) filter (where is_user_turn), 0)::bigint as word_error_count,
        count(*) filter (where {{ is_confidence('intent_confidence') }}) as intent_turn_count,
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

-- What the source's own records say of a session, on the session's day. Each is unique there, so nothing multiplies.
declared as (
    select
        sessions.*,
        metrics.is_escalated,
        metrics.is_recovered
    from {{ ref('stg_sessions') }} as sessions
    left join {{ ref('stg_session_metrics') }} as metrics
        on
            sessions.session_date = metrics.session_date
            and sessions.session_id = metrics.session_id
            and sessions.source = metrics.source
    where sessions.session_date between {{ window_start() }} and {{ window_end() }}
),

-- How the events of the same day say it ended. An event after midnight is not waited for.
event_outcomes as (
    select
        event_date as session_date,
        session_id,
        case when bool_or(event_type = 'flow_completed') then 'completed' else 'abandoned' end as outcome
    from {{ ref('stg_experiment_events') }}
    where
        event_date between {{ window_start() }} and {{ window_end() }}
        and event_type in ('flow_completed', 'user_dropped_off')
        and session_id is not null
    group by event_date, session_id
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
    coalesce(sessions.user_id, declared.user_id) as user_id,
    coalesce(declared.channel, sessions.channel) as channel,
    coalesce(
        sessions.user_type,
        declared.user_type,
        case users.is_first_time_digital_user when true then 'first_time' when false then 'returning' end
    ) as user_type,
    coalesce(sessions.region, users.region) as region,
    coalesce(sessions.disability, users.disability) as disability,
    coalesce(sessions.language, declared.language, users.language) as language,
    sessions.agent_name,
    sessions.model_version,
    sessions.deployment_id,
    sessions.experiment_id,
    sessions.experiment_variant,
    coalesce(declared.started_at, sessions.started_at) as started_at,
    coalesce(
        declared.ended_at,
        declared.started_at + make_interval(secs => declared.duration_seconds),
        declared.started_at,
        sessions.ended_at
    ) as ended_at,
    coalesce(
        declared.duration_seconds,
        extract(epoch from declared.ended_at - declared.started_at)::double precision,
        case
            when declared.session_id is null
                then extract(epoch from sessions.ended_at - sessions.started_at)::double precision
        end
    ) as duration_seconds,
    sessions.turn_count,
    sessions.user_turn_count,
    sessions.error_turn_count,
    sessions.user_error_turn_count,
    sessions.misunderstanding_turn_count,
    sessions.silence_turn_count,
    sessions.repeated_intent_failure_turn_count,
    sessions.noise_turn_count,
    sessions.technical_error_turn_count,
    sessions.barge_in_turn_count,
    sessions.error_turn_count::double precision / sessions.turn_count as error_turn_proportion,
    sessions.asr_turn_count,
    sessions.avg_asr_confidence,
    sessions.min_asr_confidence,
    sessions.low_confidence_turn_count,
    sessions.medium_confidence_turn_count,
    sessions.high_confidence_turn_count,
    sessions.reference_word_count,
    sessions.word_error_count,
    sessions.intent_turn_count,
    sessions.avg_intent_confidence,
    sessions.tokens_in,
    sessions.tokens_out,
    sessions.tts_characters,
    sessions.cost_usd,
    coalesce(sessions.csat, declared.csat) as csat,
    case
        when sessions.declared_outcome is not null then sessions.declared_outcome
        when declared.declared_outcome is not null then declared.declared_outcome
        when event_outcomes.outcome is not null then event_outcomes.outcome
        when
            sessions.ended_at
            + coalesce(make_interval(mins => emitters.session_timeout_minutes), {{ session_timeout() }})
            < observed.observed_until
            then 'abandoned'
        else 'in_progress'
    end as final_outcome,
    case
        when coalesce(sessions.declared_outcome, declared.declared_outcome) is not null then 'declared'
        when event_outcomes.outcome is not null then 'event'
        else 'inferred'
    end as outcome_basis,
    sessions.is_outcome_contradictory
    or coalesce(sessions.declared_outcome <> declared.declared_outcome, false) as is_outcome_contradictory,
    coalesce(sessions.transfer_reason, declared.transfer_reason) as transfer_reason,
    declared.is_escalated,
    declared.is_recovered,
    coalesce(emitters.observes_transfers, false) as observes_transfers,
    sessions.load_id
from sessions
inner join observed on sessions.session_date = observed.session_date
left join declared
    on
        sessions.session_date = declared.session_date
        and sessions.session_id = declared.session_id
        and sessions.source = declared.source
left join event_outcomes
    on sessions.session_date = event_outcomes.session_date and sessions.session_id = event_outcomes.session_id
left join {{ ref('sources') }} as emitters on sessions.source = emitters.source
left join {{ ref('int_users_of_days') }} as users
    on
        sessions.session_date = users.session_date
        and sessions.source = users.source
        and coalesce(sessions.user_id, declared.user_id) = users.user_id
