-- A list holds for its source until the next one is published.
with

latest as (
    select
        source,
        max(snapshot_date) as snapshot_date
    from {{ certified('experiment_list_entries') }}
    group by source
)

select
    experiments.source,
    experiments.experiment_id,
    experiments.name,
    experiments.status,
    experiments.unit_type,
    experiments.primary_metric,
    experiments.started_at,
    experiments.ended_at,
    experiments.snapshot_date
from {{ certified('experiment_list_entries') }} as experiments
inner join latest on experiments.source = latest.source and experiments.snapshot_date = latest.snapshot_date
