{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

-- Conversations, not events: who dropped off twice is one, who completed after all is none.
select
    event_date,
    flow_id,
    experiment_id,
    variant_id,
    last_active_state,
    drop_off_reason,
    count(*) as drop_off_count,
    count(progress) as session_with_progress_count,
    coalesce(sum(progress), 0)::numeric(24, 9) as progress_sum,
    count(total_turns) as session_with_total_turns_count,
    coalesce(sum(total_turns), 0)::bigint as total_turns,
    count(seconds_since_last_message) as session_with_silence_count,
    coalesce(sum(seconds_since_last_message), 0)::numeric(24, 6) as seconds_since_last_message_sum,
    min(load_id collate "C") as load_id
from {{ ref('conversation_sessions') }}
where
    event_date between {{ window_start() }} and {{ window_end() }}
    and status = 'dropped_off'
group by event_date, flow_id, experiment_id, variant_id, last_active_state, drop_off_reason
