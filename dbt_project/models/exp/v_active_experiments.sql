with

variants as (
    select
        source,
        experiment_id,
        count(*) as variant_count
    from {{ ref('all_variants') }}
    group by source, experiment_id
),

assignments as (
    select
        source,
        experiment_id,
        count(*) as assignment_count,
        count(distinct user_id) as user_count
    from {{ certified('fact_assignments') }}
    group by source, experiment_id
)

select
    experiments.experiment_id,
    experiments.name,
    experiments.status,
    experiments.unit_type,
    experiments.primary_metric,
    experiments.started_at,
    experiments.ended_at,
    coalesce(variants.variant_count, 0) as variant_count,
    coalesce(assignments.assignment_count, 0) as assignment_count,
    coalesce(assignments.user_count, 0) as user_count,
    experiments.source,
    experiments.snapshot_date
from {{ ref('all_experiments') }} as experiments
left join variants
    on experiments.source = variants.source and experiments.experiment_id = variants.experiment_id
left join assignments
    on experiments.source = assignments.source and experiments.experiment_id = assignments.experiment_id
where lower(experiments.status) = 'active'
