with

named as (
    select
        events.event_date,
        events.source,
        events.source_file,
        events.source_line,
        {{ json_id('listed.experiment', 'experiment_id') }} as experiment_id,
        {{ json_id('listed.experiment', 'variant_id') }} as variant_id,
        coalesce(listed.place, 1) as place
    from {{ source('raw', 'experiment_events') }} as events
    left join
        lateral jsonb_array_elements({{ event_experiments('events.experiments') }})
        with ordinality as listed (experiment, place)
        on true
)

select
    event_date,
    source,
    source_file,
    source_line,
    experiment_id,
    variant_id,
    min(place) = 1 as is_first
from named
group by event_date, source, source_file, source_line, experiment_id, variant_id
