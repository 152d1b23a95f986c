select
    snapshot_date,
    policy_version_id,
    source,
    policy_id,
    version,
    model_name,
    model_version,
    status,
    offline_score,
    constraint_respect_score,
    diversity_score,
    created_at,
    deployed_at
from {{ source('raw', 'policy_versions') }}
