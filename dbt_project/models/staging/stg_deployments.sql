select
    snapshot_date,
    deployment_id,
    source,
    model_version,
    component,
    environment,
    released_at,
    ended_at
from {{ source('raw', 'deployments') }}
