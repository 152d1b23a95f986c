select
    bucket_date as date,
    experiment_id,
    variant_id,
    metric_name,
    observation_count as count,
    mean,
    source
from {{ certified('metric_aggregates_daily') }}
where bucket_type = 'daily'
