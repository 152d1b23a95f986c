select
    bucket_date,
    experiment_id,
    variant_id,
    metric_name,
    bucket_type,
    bucket_start,
    bucket_end,
    count as observation_count,
    mean,
    stddev,
    min_value,
    max_value,
    p50,
    p95,
    p99,
    source
from {{ source('raw', 'metric_aggregates') }}
