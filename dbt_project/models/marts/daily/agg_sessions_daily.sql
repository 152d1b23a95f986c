{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Additive sums only: a reader may group these rows by any of their columns, over any span of days, and divide sums by
-- sums. Buckets of user hashes stand for users where an interval needs to know that sessions are not independent.
select
    session_date,
    source,
    channel,
    user_type,
    region,
    disability,
    language,
    model_version,
    deployment_id,
    experiment_id,
    experiment_variant,
    {{ user_bucket() }} as user_bucket,
    count(*) as session_count,
    count(*) filter (where user_turn_count > 0) as engaged_session_count,
    count(*) filter (where final_outcome = 'completed') as completed_session_count,
    count(*) filter (where final_outcome = 'abandoned') as abandoned_session_count,
    count(*) filter (where final_outcome = 'transferred') as transferred_session_count,
    count(*) filter (where final_outcome = 'in_progress') as in_progress_session_count,
    count(*) filter (where outcome_basis = 'inferred') as inferred_outcome_session_count,
    count(*) filter (where is_escalated) as escalated_session_count,
    count(duration_seconds) as timed_session_count,
    sum(round(duration_seconds * 1000)::bigint)::bigint as duration_ms,
    sum(turn_count)::bigint as turn_count,
    sum(user_turn_count)::bigint as user_turn_count,
    sum(error_turn_count)::bigint as error_turn_count,
    sum(user_error_turn_count)::bigint as user_error_turn_count,
    sum(misunderstanding_turn_count)::bigint as misunderstanding_turn_count,
    sum(silence_turn_count)::bigint as silence_turn_count,
    sum(repeated_intent_failure_turn_count)::bigint as repeated_intent_failure_turn_count,
    sum(noise_turn_count)::bigint as noise_turn_count,
    sum(technical_error_turn_count)::bigint as technical_error_turn_count,
    sum(barge_in_turn_count)::bigint as barge_in_turn_count,
    sum(asr_turn_count)::bigint as asr_turn_count,
    sum(round(avg_asr_confidence * asr_turn_count * 1e9)::bigint)::bigint as asr_confidence_nano,
    sum(tokens_in)::bigint as tokens_in,
    sum(tokens_out)::bigint as tokens_out,
    sum(tts_characters)::bigint as tts_characters,
    sum(cost_usd)::numeric(18, 6) as cost_usd,
    min(load_id collate "C") as load_id
from {{ ref('fact_voice_ai_sessions') }}
where session_date between {{ window_start() }} and {{ window_end() }}
group by
    session_date, source, channel, user_type, region, disability, language, model_version, deployment_id,
    experiment_id, experiment_variant, user_bucket
