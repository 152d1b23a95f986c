select
    snapshot_date,
    experiment_id,
    variant_id,
    source,
    name,
    is_control,
    allocation,
    policy_version_id
from {{ source('raw', 'variants') }}
