-- A list holds for its source until the next one is published.
with

latest as (
    select
        source,
        max(snapshot_date) as snapshot_date
    from {{ certified('policy_version_list_entries') }}
    group by source
)

select
    versions.policy_version_id,
    versions.policy_id,
    versions.version,
    versions.model_name,
    versions.model_version,
    versions.status,
    versions.offline_score,
    versions.constraint_respect_score,
    versions.diversity_score,
    versions.created_at,
    versions.deployed_at,
    versions.source,
    versions.snapshot_date
from {{ certified('policy_version_list_entries') }} as versions
inner join latest on versions.source = latest.source and versions.snapshot_date = latest.snapshot_date
