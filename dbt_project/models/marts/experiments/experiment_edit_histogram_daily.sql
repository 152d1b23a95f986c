{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

select
    events.event_date,
    named.experiment_id,
    named.variant_id,
    events.event_type,
    events.edit_count,
    count(*) as event_count,
    min(loads.load_id collate "C") as load_id
from {{ ref('stg_experiment_events') }} as events
inner join {{ ref('stg_event_experiments') }} as named
    on
        events.event_date = named.event_date
        and events.source = named.source
        and events.source_file = named.source_file
        and events.source_line = named.source_line
inner join {{ source('governance', 'loads') }} as loads
    on
        events.event_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where
    events.event_date between {{ window_start() }} and {{ window_end() }}
    and named.event_date between {{ window_start() }} and {{ window_end() }}
    and events.edit_count is not null
group by events.event_date, named.experiment_id, named.variant_id, events.event_type, events.edit_count
