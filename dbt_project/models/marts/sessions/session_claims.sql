{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- What the source's own records say of a session beside what its turns say. Nothing is decided here: the contradiction
-- report compares, and a figure that depends on which of them is believed is withheld.
with

-- Read first: a source that keeps no records costs no scan of its turns.
claimed as (
    select
        session_date,
        session_id
    from {{ ref('stg_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    union
    select
        session_date,
        session_id
    from {{ ref('stg_session_metrics') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
),

counted as (
    select
        turns.session_date,
        turns.session_id,
        max(turns.turn_number) as last_turn_number,
        count(distinct turns.turn_number) as distinct_turn_number_count,
        extract(epoch from max(turns.turn_at) - min(turns.turn_at))::double precision as spoken_seconds
    from claimed
    inner join {{ ref('int_turns_sessionised') }} as turns
        on claimed.session_date = turns.session_date and claimed.session_id = turns.session_id
    where turns.session_date between {{ window_start() }} and {{ window_end() }}
    group by turns.session_date, turns.session_id
)

select
    sessions.session_date,
    sessions.session_id,
    sessions.source,
    sessions.user_id,
    sessions.channel,
    sessions.region,
    sessions.user_type,
    sessions.final_outcome,
    sessions.outcome_basis,
    sessions.transfer_reason is not null as has_transfer_reason,
    sessions.is_escalated,
    claims.session_id is not null as has_declared_record,
    claims.declared_turn_count,
    sessions.turn_count,
    counted.last_turn_number,
    counted.distinct_turn_number_count,
    claims.duration_seconds as declared_duration_seconds,
    counted.spoken_seconds,
    metrics.session_id is not null as has_declared_metrics,
    metrics.avg_asr_confidence as declared_asr_confidence,
    sessions.avg_asr_confidence as user_asr_confidence,
    sessions.asr_turn_count,
    metrics.misunderstanding_rate as declared_misunderstanding_rate,
    metrics.silence_rate as declared_silence_rate,
    sessions.error_turn_count,
    sessions.misunderstanding_turn_count,
    sessions.silence_turn_count,
    sessions.load_id
from {{ ref('fact_voice_ai_sessions') }} as sessions
inner join counted
    on sessions.session_date = counted.session_date and sessions.session_id = counted.session_id
left join {{ ref('stg_sessions') }} as claims
    on
        sessions.session_date = claims.session_date
        and sessions.session_id = claims.session_id
        and sessions.source = claims.source
left join {{ ref('stg_session_metrics') }} as metrics
    on
        sessions.session_date = metrics.session_date
        and sessions.session_id = metrics.session_id
        and sessions.source = metrics.source
where
    sessions.session_date between {{ window_start() }} and {{ window_end() }}
    and (claims.session_id is not null or metrics.session_id is not null)
