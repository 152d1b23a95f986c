{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

-- A row is what the events of one day say of a conversation, so no day waits for another, and an event that comes late
-- changes its own day only. A conversation across midnight has a row on each of its days, the later ones without
-- has_start; exp.v_conversations puts them together again.
with

events as (
    select
        event_date,
        event_id,
        event_type,
        event_at,
        user_id,
        source,
        source_file,
        source_line,
        session_id,
        flow_id,
        flow_version,
        experiment_id,
        variant_id,
        current_state,
        last_active_state,
        final_state,
        drop_off_reason,
        turn_number,
        total_turns,
        total_duration_seconds,
        seconds_since_last_message,
        completion_rate,
        progress,
        satisfaction_score
    from {{ ref('stg_experiment_events') }}
    where
        event_date between {{ window_start() }} and {{ window_end() }}
        and session_id is not null
),

-- The event that decides: a completion over a drop-off, the first completion, the last drop-off (people resume).
endings as (
    select distinct on (event_date, session_id)
        event_date,
        session_id,
        event_type,
        event_at,
        total_turns,
        total_duration_seconds,
        completion_rate,
        progress,
        seconds_since_last_message,
        drop_off_reason,
        coalesce(
            case event_type when 'flow_completed' then final_state else last_active_state end, current_state
        ) as last_state
    from events
    where event_type in ('flow_completed', 'user_dropped_off')
    order by
        event_date asc,
        session_id asc,
        event_type = 'flow_completed' desc,
        case event_type when 'flow_completed' then event_at end asc,
        event_at desc,
        event_id collate "C" asc,
        source_file collate "C" asc,
        source_line asc
),

sessions as (
    select
        event_date,
        session_id,
        min(source collate "C") as source,
        {{ first_of('user_id', 'event_at') }} as user_id,
        {{ first_of('flow_id', 'event_at') }} as flow_id,
        {{ first_of('flow_version', 'event_at') }} as flow_version,
        (
            array_agg(
                array[experiment_id, variant_id]
                order by event_at, experiment_id collate "C", variant_id collate "C"
            ) filter (where experiment_id is not null or variant_id is not null)
        )[1:1] as first_experiment,
        min(event_at) filter (where event_type in {{ conversation_event_types() }}) as first_event_at,
        max(event_at) filter (where event_type in {{ conversation_event_types() }}) as last_event_at,
        min(event_at) filter (where event_type = 'conversation_started') as started_at,
        min(event_at) filter (where event_type = 'flow_completed') as completed_at,
        max(event_at) filter (where event_type = 'user_dropped_off') as dropped_off_at,
        max(event_at) filter (where event_type = 'message_sent') as last_message_at,
        count(*) filter (where event_type = 'message_sent') as message_count,
        -- both sides of an exchange, and a message that was sent twice, bear one number
        count(distinct turn_number) filter (where event_type = 'message_sent')
        + count(*) filter (where event_type = 'message_sent' and turn_number is null) as turn_count,
        {{ first_of('current_state', 'event_at desc') }} as current_state,
        (
            array_agg(satisfaction_score order by event_at desc, satisfaction_score asc)
            filter (where satisfaction_score is not null)
        )[1] as satisfaction_score,
        coalesce(min(flow_id collate "C") <> max(flow_id collate "C"), false) as is_flow_contradictory
    from events
    group by event_date, session_id
    having bool_or(event_type in {{ conversation_event_types() }})
),

-- in more than one variant of the experiment it is counted in
exposures as (
    select
        sessions.event_date,
        sessions.session_id,
        count(distinct events.variant_id) > 1 as is_variant_contradictory
    from sessions
    inner join events
        on
            sessions.event_date = events.event_date
            and sessions.session_id = events.session_id
            and sessions.first_experiment[1][1] is not distinct from events.experiment_id
    group by sessions.event_date, sessions.session_id
)

select
    sessions.event_date,
    sessions.session_id,
    sessions.source,
    sessions.user_id,
    sessions.flow_id,
    sessions.flow_version,
    sessions.first_experiment[1][1] as experiment_id,
    sessions.first_experiment[1][2] as variant_id,
    sessions.first_event_at,
    sessions.last_event_at,
    sessions.started_at is not null as has_start,
    sessions.started_at,
    sessions.completed_at,
    sessions.dropped_off_at,
    sessions.last_message_at,
    case endings.event_type
        when 'flow_completed' then 'completed'
        when 'user_dropped_off' then 'dropped_off'
        else 'in_progress'
    end as status,
    sessions.completed_at is not null and sessions.dropped_off_at is not null as is_outcome_contradictory,
    sessions.is_flow_contradictory,
    exposures.is_variant_contradictory,
    sessions.message_count,
    sessions.turn_count,
    coalesce(steps.progressed_turns, other_steps.progressed_turns, 1) as progressed_turns,
    endings.total_turns,
    coalesce(
        endings.total_duration_seconds,
        case
            when endings.event_at >= sessions.started_at
                then extract(epoch from endings.event_at - sessions.started_at)
        end
    )::numeric(18, 6) as duration_seconds,
    endings.total_duration_seconds is not null as is_duration_declared,
    coalesce(endings.last_state, sessions.current_state) as last_active_state,
    case when endings.event_type = 'user_dropped_off' then endings.drop_off_reason end as drop_off_reason,
    endings.progress::numeric(18, 9) as progress,
    endings.completion_rate::numeric(18, 9) as completion_rate,
    case
        when endings.event_type = 'user_dropped_off'
            then coalesce(
                endings.seconds_since_last_message,
                case
                    when endings.event_at >= sessions.last_message_at
                        then extract(epoch from endings.event_at - sessions.last_message_at)
                end
            )
    end::numeric(18, 6) as seconds_since_last_message,
    sessions.satisfaction_score::numeric(18, 6) as satisfaction_score,
    loads.load_id
from sessions
inner join {{ source('governance', 'loads') }} as loads
    on
        sessions.event_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
left join endings on sessions.event_date = endings.event_date and sessions.session_id = endings.session_id
inner join exposures on sessions.event_date = exposures.event_date and sessions.session_id = exposures.session_id
left join {{ ref('flow_funnel_steps') }} as steps on sessions.flow_id = steps.flow_id
left join {{ ref('flow_funnel_steps') }} as other_steps on other_steps.flow_id = '*'
