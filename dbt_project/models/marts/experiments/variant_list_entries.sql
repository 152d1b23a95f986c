{{ config(materialized='day_replace', day_column='snapshot_date', partitioned=false) }}

select
    entries.snapshot_date,
    entries.experiment_id,
    entries.variant_id,
    entries.source,
    entries.name,
    entries.is_control,
    entries.allocation,
    entries.policy_version_id,
    loads.load_id
from {{ ref('stg_variants') }} as entries
inner join {{ source('governance', 'loads') }} as loads
    on
        entries.snapshot_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where entries.snapshot_date between {{ window_start() }} and {{ window_end() }}
