-- A variant is served by the policy version that the list of the day says: the latest list until then, else the
-- earliest after it. So the figures of a version do not move to its successor.
with

days as (
    select
        experiment_id,
        variant_id,
        event_date,
        sum(offered_count) as offered_count,
        sum(accepted_count) as accepted_count,
        sum(rejected_count) as rejected_count
    from {{ certified('experiment_events_daily') }}
    group by experiment_id, variant_id, event_date
),

served as (
    select distinct on (days.experiment_id, days.variant_id, days.event_date)
        days.experiment_id,
        days.variant_id,
        days.event_date,
        days.offered_count,
        days.accepted_count,
        days.rejected_count,
        variants.policy_version_id
    from days
    inner join {{ certified('variant_list_entries') }} as variants
        on days.experiment_id = variants.experiment_id and days.variant_id = variants.variant_id
    order by
        days.experiment_id,
        days.variant_id,
        days.event_date,
        variants.snapshot_date > days.event_date,
        abs(variants.snapshot_date - days.event_date),
        variants.source
),

latest as (
    select
        source,
        max(snapshot_date) as snapshot_date
    from {{ certified('policy_version_list_entries') }}
    group by source
),

online as (
    select
        policy_version_id,
        sum(accepted_count)::bigint as accepted_count,
        greatest(sum(offered_count), sum(accepted_count) + sum(rejected_count))::bigint as acceptance_denominator,
        min(event_date) as first_event_date,
        max(event_date) as last_event_date
    from served
    where policy_version_id is not null
    group by policy_version_id
)

select
    versions.policy_version_id,
    versions.policy_id,
    versions.version,
    versions.model_name,
    versions.model_version,
    versions.status,
    versions.offline_score,
    coalesce(online.accepted_count, 0) as accepted_count,
    coalesce(online.acceptance_denominator, 0) as acceptance_denominator,
    online.accepted_count::numeric / nullif(online.acceptance_denominator, 0) as acceptance_rate,
    online.accepted_count::double precision / nullif(online.acceptance_denominator, 0) - versions.offline_score
        as online_minus_offline,
    online.first_event_date,
    online.last_event_date,
    versions.created_at,
    versions.deployed_at,
    versions.source
from {{ certified('policy_version_list_entries') }} as versions
inner join latest on versions.source = latest.source and versions.snapshot_date = latest.snapshot_date
left join online on versions.policy_version_id = online.policy_version_id
