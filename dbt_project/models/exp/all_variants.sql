-- A list holds for its source until the next one is published.
with

latest as (
    select
        source,
        max(snapshot_date) as snapshot_date
    from {{ certified('variant_list_entries') }}
    group by source
)

select
    variants.source,
    variants.experiment_id,
    variants.variant_id,
    variants.name,
    variants.is_control,
    variants.allocation,
    variants.policy_version_id,
    variants.snapshot_date
from {{ certified('variant_list_entries') }} as variants
inner join latest on variants.source = latest.source and variants.snapshot_date = latest.snapshot_date
