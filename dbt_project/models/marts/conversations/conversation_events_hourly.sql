{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

-- Messages seldom name their flow: they take it, like the variant, from their conversation's row of the same day.
with

events as (
    select
        events.event_date,
        extract(hour from events.event_at at time zone {{ source_timezone() }})::integer as event_hour,
        events.event_type,
        events.session_id,
        coalesce(events.flow_id, sessions.flow_id) as flow_id,
        case
            when events.experiment_id is null and events.variant_id is null then sessions.experiment_id
            else events.experiment_id
        end as experiment_id,
        case
            when events.experiment_id is null and events.variant_id is null then sessions.variant_id
            else events.variant_id
        end as variant_id
    from {{ ref('stg_experiment_events') }} as events
    left join {{ ref('conversation_sessions') }} as sessions
        on events.event_date = sessions.event_date and events.session_id = sessions.session_id
    where events.event_date between {{ window_start() }} and {{ window_end() }}
)

select
    events.event_date,
    events.event_hour,
    events.event_type,
    events.flow_id,
    events.experiment_id,
    events.variant_id,
    count(*) as event_count,
    count(*) filter (where events.session_id is null) as sessionless_event_count,
    min(loads.load_id collate "C") as load_id
from events
inner join {{ source('governance', 'loads') }} as loads
    on
        events.event_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
group by
    events.event_date, events.event_hour, events.event_type, events.flow_id, events.experiment_id, events.variant_id
