-- The rows of one conversation are those of days that follow each other within the span that a session may have; the
-- same id weeks later is another conversation. What is not published yet is not waited for.
with

days as (
    select
        *,
        event_date - lag(event_date) over (partition by session_id order by event_date) as days_since
    from {{ certified('conversation_sessions') }}
),

filed as (
    select
        *,
        max(case when days_since is null or days_since > {{ var('session_span_days') }} then event_date end)
            over (partition by session_id order by event_date) as session_date
    from days
),

-- the day whose ending decides: the first completion, else the last drop-off
endings as (
    select distinct on (session_id, session_date)
        session_id,
        session_date,
        status,
        case status when 'completed' then completed_at else dropped_off_at end as ended_at,
        total_turns,
        duration_seconds,
        is_duration_declared,
        last_active_state,
        drop_off_reason,
        progress,
        completion_rate,
        seconds_since_last_message
    from filed
    where status <> 'in_progress'
    order by
        session_id asc,
        session_date asc,
        status = 'completed' desc,
        case status when 'completed' then event_date end asc,
        event_date desc
),

sessions as (
    select
        session_id,
        session_date,
        min(source collate "C") as source,
        {{ first_of('user_id', 'event_date') }} as user_id,
        {{ first_of('flow_id', 'event_date') }} as flow_id,
        {{ first_of('flow_version', 'event_date') }} as flow_version,
        (
            array_agg(array[experiment_id, variant_id] order by event_date)
            filter (where experiment_id is not null or variant_id is not null)
        )[1:1] as first_experiment,
        count(*) as day_count,
        bool_or(has_start) as has_start,
        min(started_at) as started_at,
        min(completed_at) as completed_at,
        max(dropped_off_at) as dropped_off_at,
        max(last_event_at) as last_event_at,
        max(last_message_at) as last_message_at,
        bool_or(is_flow_contradictory)
        or coalesce(min(flow_id collate "C") <> max(flow_id collate "C"), false) as is_flow_contradictory,
        sum(message_count)::bigint as message_count,
        sum(turn_count)::bigint as turn_count,
        (array_agg(progressed_turns order by flow_id is null, event_date))[1] as progressed_turns,
        (array_agg(last_active_state order by event_date desc) filter (where last_active_state is not null))[1]
            as last_active_state,
        (array_agg(satisfaction_score order by event_date desc) filter (where satisfaction_score is not null))[1]
            as satisfaction_score
    from filed
    group by session_id, session_date
)

select
    sessions.session_date,
    sessions.session_id,
    sessions.source,
    sessions.user_id,
    sessions.flow_id,
    sessions.flow_version,
    sessions.first_experiment[1][1] as experiment_id,
    sessions.first_experiment[1][2] as variant_id,
    sessions.day_count,
    sessions.has_start,
    sessions.started_at,
    sessions.completed_at,
    sessions.dropped_off_at,
    sessions.last_event_at,
    coalesce(endings.status, 'in_progress') as status,
    sessions.completed_at is not null and sessions.dropped_off_at is not null as is_outcome_contradictory,
    sessions.is_flow_contradictory,
    sessions.message_count,
    sessions.turn_count,
    sessions.progressed_turns,
    endings.total_turns,
    case
        when endings.is_duration_declared then endings.duration_seconds
        when endings.ended_at >= sessions.started_at then extract(epoch from endings.ended_at - sessions.started_at)
    end::numeric(18, 6) as duration_seconds,
    coalesce(endings.last_active_state, sessions.last_active_state) as last_active_state,
    endings.drop_off_reason,
    endings.progress,
    endings.completion_rate,
    case
        when endings.status <> 'dropped_off' then null
        when endings.seconds_since_last_message is not null then endings.seconds_since_last_message
        -- not declared, and the last message was before midnight
        when endings.ended_at >= sessions.last_message_at
            then extract(epoch from endings.ended_at - sessions.last_message_at)
    end::numeric(18, 6) as seconds_since_last_message,
    sessions.satisfaction_score
from sessions
left join endings on sessions.session_id = endings.session_id and sessions.session_date = endings.session_date
