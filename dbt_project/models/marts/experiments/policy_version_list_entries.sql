{{ config(materialized='day_replace', day_column='snapshot_date', partitioned=false) }}

select
    entries.snapshot_date,
    entries.policy_version_id,
    entries.source,
    entries.policy_id,
    entries.version,
    entries.model_name,
    entries.model_version,
    entries.status,
    entries.offline_score,
    entries.constraint_respect_score,
    entries.diversity_score,
    entries.created_at,
    entries.deployed_at,
    loads.load_id
from {{ ref('stg_policy_versions') }} as entries
inner join {{ source('governance', 'loads') }} as loads
    on
        entries.snapshot_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where entries.snapshot_date between {{ window_start() }} and {{ window_end() }}
