{{ config(materialized='day_replace', day_column='snapshot_date', partitioned=false) }}

select
    entries.snapshot_date,
    entries.deployment_id,
    entries.source,
    entries.model_version,
    entries.component,
    entries.environment,
    entries.released_at,
    entries.ended_at,
    loads.load_id
from {{ ref('stg_deployments') }} as entries
inner join {{ source('governance', 'loads') }} as loads
    on
        entries.snapshot_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where entries.snapshot_date between {{ window_start() }} and {{ window_end() }}
