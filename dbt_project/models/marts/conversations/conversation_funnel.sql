{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

-- A later stage implies the earlier ones, whatever events were lost: so started >= engaged >= progressed >= completed
-- holds by construction, and the last stage is the number of completed conversations.
with

sessions as (
    select
        *,
        status = 'completed' as is_completed,
        status = 'completed' or turn_count >= progressed_turns as is_progressed,
        status = 'completed' or message_count > 0 or turn_count >= progressed_turns as is_engaged
    from {{ ref('conversation_sessions') }}
    where event_date between {{ window_start() }} and {{ window_end() }}
)

select
    event_date,
    flow_id,
    experiment_id,
    variant_id,
    count(*) as session_count,
    count(*) filter (where has_start) as started_session_count,
    count(*) filter (where has_start and is_engaged) as engaged_session_count,
    count(*) filter (where has_start and is_progressed) as progressed_session_count,
    count(*) filter (where has_start and is_completed) as completed_session_count,
    count(*) filter (where has_start and status = 'dropped_off') as dropped_off_session_count,
    count(*) filter (where has_start and status = 'in_progress') as in_progress_session_count,
    count(*) filter (where not has_start) as continued_session_count,
    count(*) filter (where not has_start and is_completed) as continued_completed_session_count,
    count(*) filter (where not has_start and status = 'dropped_off') as continued_dropped_off_session_count,
    sum(message_count)::bigint as message_count,
    count(total_turns) as session_with_total_turns_count,
    coalesce(sum(total_turns), 0)::bigint as total_turns,
    count(duration_seconds) as timed_session_count,
    coalesce(sum(duration_seconds), 0)::numeric(24, 6) as duration_seconds,
    count(duration_seconds) filter (where is_completed) as timed_completed_session_count,
    coalesce(sum(duration_seconds) filter (where is_completed), 0)::numeric(24, 6) as completed_duration_seconds,
    count(satisfaction_score) as rated_session_count,
    coalesce(sum(satisfaction_score), 0)::numeric(24, 6) as satisfaction_score_sum,
    min(load_id collate "C") as load_id
from sessions
group by event_date, flow_id, experiment_id, variant_id
