select
    aggregates.bucket_date,
    aggregates.bucket_type,
    aggregates.bucket_start,
    aggregates.bucket_end,
    aggregates.experiment_id,
    experiments.name as experiment_name,
    aggregates.variant_id,
    variants.name as variant_name,
    aggregates.metric_name,
    aggregates.observation_count,
    aggregates.mean,
    aggregates.source
from {{ certified('metric_aggregates_daily') }} as aggregates
left join {{ ref('all_experiments') }} as experiments
    on aggregates.source = experiments.source and aggregates.experiment_id = experiments.experiment_id
left join {{ ref('all_variants') }} as variants
    on
        aggregates.source = variants.source
        and aggregates.experiment_id = variants.experiment_id
        and aggregates.variant_id = variants.variant_id
where
    aggregates.metric_name in ('constraint_respect', 'constraint_respect_score')
    and aggregates.mean < 1.0
