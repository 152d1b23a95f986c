{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Two kinds of figures in one row: of turns, by the turn's language, and of sessions, by the session's. A caller who
-- changes language is thus heard in both and counted in one, and either kind adds up over the languages.
with

turns as (
    select
        session_date,
        session_id,
        language,
        model_version,
        count(*) as turn_count,
        count(*) filter (where is_user_turn) as user_turn_count,
        count(*) filter (where is_misunderstanding) as misunderstanding_turn_count,
        count(*) filter (where is_error_turn) as error_turn_count,
        count(*) filter (where is_error_turn and is_user_turn) as user_error_turn_count,
        -- a system's row may carry a confidence too; it means nothing
        count(*) filter (where {{ is_confidence('asr_confidence') }}) as asr_turn_count,
        sum(round(asr_confidence * 1e9)::bigint) filter (
            where {{ is_confidence('asr_confidence') }}
        ) as asr_confidence_nano,
        count(*) filter (where {{ is_confidence('asr_confidence', 'low') }}) as low_turn_count,
        count(*) filter (where {{ is_confidence('asr_confidence', 'medium') }}) as medium_turn_count,
        count(*) filter (where {{ is_confidence('asr_confidence', 'high') }}) as high_turn_count,
        sum(reference_word_count) filter (where is_user_turn) as reference_word_count,
        sum(reference_word_count) filter (
            where {{ is_confidence('asr_confidence', 'low') }}
        ) as low_reference_word_count,
        sum(reference_word_count) filter (
            where {{ is_confidence('asr_confidence', 'medium') }}
        ) as medium_reference_word_count,
        sum(reference_word_count) filter (
            where {{ is_confidence('asr_confidence', 'high') }}
        ) as high_reference_word_count,
        sum(word_error_count) filter (where is_user_turn) as word_error_count,
        sum(word_error_count) filter (
            where {{ is_confidence('asr_confidence', 'low') }}
        ) as low_word_error_count,
        sum(word_error_count) filter (
            where {{ is_confidence('asr_confidence', 'medium') }}
        ) as medium_word_error_count,
        sum(word_error_count) filter (
            where {{ is_confidence('asr_confidence', 'high') }}
        ) as high_word_error_count
    from {{ ref('int_turns_sessionised') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date, session_id, language, model_version
),

sessions as (
    select * from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
),

figures as (
    select
        turns.session_date,
        sessions.source,
        coalesce(turns.language, sessions.language) as language,
        coalesce(turns.model_version, sessions.model_version) as model_version,
        turns.turn_count,
        turns.user_turn_count,
        turns.misunderstanding_turn_count,
        turns.error_turn_count,
        turns.user_error_turn_count,
        turns.asr_turn_count,
        turns.asr_confidence_nano,
        turns.low_turn_count,
        turns.medium_turn_count,
        turns.high_turn_count,
        turns.reference_word_count,
        turns.low_reference_word_count,
        turns.medium_reference_word_count,
        turns.high_reference_word_count,
        turns.word_error_count,
        turns.low_word_error_count,
        turns.medium_word_error_count,
        turns.high_word_error_count,
        0 as session_count,
        0 as in_progress_session_count,
        0 as completed_session_count,
        sessions.load_id
    from turns
    inner join sessions on turns.session_date = sessions.session_date and turns.session_id = sessions.session_id
    union all
    select
        session_date,
        source,
        language,
        model_version,
        0 as turn_count,
        0 as user_turn_count,
        0 as misunderstanding_turn_count,
        0 as error_turn_count,
        0 as user_error_turn_count,
        0 as asr_turn_count,
        null as asr_confidence_nano,
        0 as low_turn_count,
        0 as medium_turn_count,
        0 as high_turn_count,
        0 as reference_word_count,
        0 as low_reference_word_count,
        0 as medium_reference_word_count,
        0 as high_reference_word_count,
        0 as word_error_count,
        0 as low_word_error_count,
        0 as medium_word_error_count,
        0 as high_word_error_count,
        1 as session_count,
        (final_outcome = 'in_progress')::integer as in_progress_session_count,
        (final_outcome = 'completed')::integer as completed_session_count,
        load_id
    from sessions
)

select
    session_date,
    source,
    language,
    model_version,
    sum(turn_count)::bigint as turn_count,
    sum(user_turn_count)::bigint as user_turn_count,
    sum(misunderstanding_turn_count)::bigint as misunderstanding_turn_count,
    sum(error_turn_count)::bigint as error_turn_count,
    sum(user_error_turn_count)::bigint as user_error_turn_count,
    sum(asr_turn_count)::bigint as asr_turn_count,
    sum(asr_confidence_nano)::bigint as asr_confidence_nano,
    sum(low_turn_count)::bigint as low_confidence_turn_count,
    sum(medium_turn_count)::bigint as medium_confidence_turn_count,
    sum(high_turn_count)::bigint as high_confidence_turn_count,
    coalesce(sum(reference_word_count), 0)::bigint as reference_word_count,
    coalesce(sum(low_reference_word_count), 0)::bigint as low_confidence_reference_word_count,
    coalesce(sum(medium_reference_word_count), 0)::bigint as medium_confidence_reference_word_count,
    coalesce(sum(high_reference_word_count), 0)::bigint as high_confidence_reference_word_count,
    coalesce(sum(word_error_count), 0)::bigint as word_error_count,
    coalesce(sum(low_word_error_count), 0)::bigint as low_confidence_word_error_count,
    coalesce(sum(medium_word_error_count), 0)::bigint as medium_confidence_word_error_count,
    coalesce(sum(high_word_error_count), 0)::bigint as high_confidence_word_error_count,
    sum(session_count)::bigint as session_count,
    sum(in_progress_session_count)::bigint as in_progress_session_count,
    sum(completed_session_count)::bigint as completed_session_count,
    min(load_id collate "C") as load_id
from figures
group by session_date, source, language, model_version
