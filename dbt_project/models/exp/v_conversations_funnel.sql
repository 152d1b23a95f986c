-- As marts.conversation_funnel, of whole conversations: a completion after midnight counts on the day of the start.
with

sessions as (
    select
        *,
        status = 'completed' as is_completed,
        status = 'completed' or turn_count >= progressed_turns as is_progressed,
        status = 'completed' or message_count > 0 or turn_count >= progressed_turns as is_engaged
    from {{ ref('v_conversations') }}
    where has_start
)

select
    session_date,
    flow_id,
    experiment_id,
    variant_id,
    count(*) as started_session_count,
    count(*) filter (where is_engaged) as engaged_session_count,
    count(*) filter (where is_progressed) as progressed_session_count,
    count(*) filter (where is_completed) as completed_session_count,
    count(*) filter (where status = 'dropped_off') as dropped_off_session_count,
    count(*) filter (where status = 'in_progress') as in_progress_session_count
from sessions
group by session_date, flow_id, experiment_id, variant_id
