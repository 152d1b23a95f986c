{{ config(
    materialized='day_replace',
    day_column='session_date',
) }}

-- What was known of a session once its k-th user turn had been answered. The same definition in Python, for one session
-- while it goes on, is voiceai_assets/models/abandonment/prefix.py; test_feature_store.py holds both together to 1e-9.
-- Nothing of a later turn may enter: every window ends at the current row. No label and no length of the session here.
with

turns as (
    select
        session_date,
        session_id,
        source,
        turn_at,
        is_user_turn,
        user_id,
        channel,
        user_type,
        region,
        language,
        module,
        asr_confidence,
        intent_confidence,
        total_ms,
        coalesce(is_error_turn, false) as is_error_turn,
        load_id,
        -- values last: turn numbers may repeat, and the order in which rows are stored must not decide the features
        row_number() over dialogue as position,
        lead(not is_user_turn and coalesce(is_error_turn, false)) over dialogue as is_reply_error,
        lead(case when not is_user_turn then total_ms end) over dialogue as reply_ms
    from {{ ref('int_turns_sessionised') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    window
        dialogue as (
            partition by session_date, session_id
            order by
                turn_number asc,
                turn_at asc,
                is_user_turn desc,
                asr_confidence asc,
                intent_confidence asc,
                total_ms asc,
                coalesce(is_error_turn, false) asc
        )
),

-- A turn is scored after its reply: the agent row right behind it. Later ones ("are you still there?") are said to
-- callers who left, and would give the outcome away.
user_turns as (
    select
        turns.*,
        count(*) over so_far as k,
        is_error_turn or coalesce(is_reply_error, false) as is_error,
        coalesce(total_ms, reply_ms) as answered_ms
    from turns
    where is_user_turn
    window so_far as (partition by session_date, session_id order by position)
),

-- The last known value up to here is the greatest of (k, value): one pass, where a self join would be quadratic.
running as (
    select
        session_date,
        session_id,
        source,
        k,
        turn_at,
        substr(max((lpad(k::text, 9, '0') || user_id) collate "C") over so_far, 10) as user_id,
        substr(max((lpad(k::text, 9, '0') || channel) collate "C") over so_far, 10) as channel,
        substr(max((lpad(k::text, 9, '0') || user_type) collate "C") over so_far, 10) as user_type,
        substr(max((lpad(k::text, 9, '0') || region) collate "C") over so_far, 10) as region,
        substr(max((lpad(k::text, 9, '0') || language) collate "C") over so_far, 10) as language,
        substr(max((lpad(k::text, 9, '0') || module) collate "C") over so_far, 10) as module,
        asr_confidence as asr_now,
        sum(asr_confidence) over so_far / nullif(count(asr_confidence) over so_far, 0) as asr_mean,
        min(asr_confidence) over so_far as asr_min,
        max(case when asr_confidence is not null then array[k::double precision, asr_confidence] end) over before
            as asr_before,
        intent_confidence as intent_now,
        is_error::int::bigint as error_now,
        count(*) filter (where is_error) over so_far as errors_so_far,
        k - coalesce(max(k) filter (where not is_error) over so_far, 0) as errors_in_row,
        case when answered_ms >= 0 then ln(1 + answered_ms) end as log_latency,
        load_id
    from user_turns
    window
        so_far as (partition by session_date, session_id order by k),
        before as (
            partition by session_date, session_id order by k rows between unbounded preceding and 1 preceding
        )
),

-- What the source says of the session itself, where its turns do not: known when it starts.
declared as (
    select
        session_date,
        session_id,
        source,
        user_id,
        channel,
        user_type,
        language
    from {{ ref('stg_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
)

select
    running.session_date,
    running.session_id,
    running.source,
    running.k,
    running.turn_at,
    coalesce(running.user_id, declared.user_id) as user_id,
    coalesce(running.channel, declared.channel) as channel,
    coalesce(
        running.user_type,
        declared.user_type,
        case users.is_first_time_digital_user when true then 'first_time' when false then 'returning' end
    ) as user_type,
    coalesce(running.region, users.region) as region,
    coalesce(running.language, declared.language, users.language) as language,
    running.module,
    running.asr_now,
    running.asr_mean,
    running.asr_min,
    running.asr_now - running.asr_before[2] as asr_change,
    running.intent_now,
    running.error_now,
    running.errors_so_far,
    running.errors_in_row,
    running.log_latency,
    running.load_id
from running
left join declared
    on
        running.session_date = declared.session_date
        and running.session_id = declared.session_id
        and running.source = declared.source
left join {{ ref('int_users_of_days') }} as users
    on
        running.session_date = users.session_date
        and running.source = users.source
        and coalesce(running.user_id, declared.user_id) = users.user_id
