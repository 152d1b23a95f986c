{{ config(materialized='day_replace', day_column='bucket_date', partitioned=false) }}

select
    aggregates.bucket_date,
    aggregates.experiment_id,
    aggregates.variant_id,
    aggregates.metric_name,
    aggregates.bucket_type,
    aggregates.bucket_start,
    aggregates.bucket_end,
    aggregates.observation_count,
    aggregates.mean,
    aggregates.stddev,
    aggregates.min_value,
    aggregates.max_value,
    aggregates.p50,
    aggregates.p95,
    aggregates.p99,
    aggregates.source,
    loads.load_id
from {{ ref('stg_metric_aggregates') }} as aggregates
inner join {{ source('governance', 'loads') }} as loads
    on
        aggregates.bucket_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where aggregates.bucket_date between {{ window_start() }} and {{ window_end() }}
