select
    snapshot_date,
    experiment_id,
    source,
    name,
    status,
    unit_type,
    primary_metric,
    started_at,
    ended_at
from {{ source('raw', 'experiments') }}
