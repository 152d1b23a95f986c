-- Every variant that is listed, was assigned or had an event: what a list forgot must not vanish.
with

variants as (
    select
        experiment_id,
        variant_id
    from {{ ref('all_variants') }}
    union
    select
        experiment_id,
        variant_id
    from {{ certified('fact_assignments') }}
    union
    select
        experiment_id,
        variant_id
    from {{ certified('experiment_events_daily') }}
    where experiment_id is not null and variant_id is not null
),

-- one name for each, should two sources list the same
listed_experiments as (
    select distinct on (experiment_id) *
    from {{ ref('all_experiments') }}
    order by experiment_id, source
),

listed_variants as (
    select distinct on (experiment_id, variant_id) *
    from {{ ref('all_variants') }}
    order by experiment_id, variant_id, source
),

users as (
    select
        experiment_id,
        user_id,
        count(distinct variant_id) > 1 as is_in_several
    from {{ certified('fact_assignments') }}
    group by experiment_id, user_id
),

assignments as (
    select
        assigned.experiment_id,
        assigned.variant_id,
        sum(assigned.assignment_count)::bigint as assignment_count,
        count(*) as user_count,
        count(*) filter (where users.is_in_several) as user_in_several_variants_count
    from (
        select
            experiment_id,
            variant_id,
            user_id,
            count(*) as assignment_count
        from {{ certified('fact_assignments') }}
        group by experiment_id, variant_id, user_id
    ) as assigned
    inner join users on assigned.experiment_id = users.experiment_id and assigned.user_id = users.user_id
    group by assigned.experiment_id, assigned.variant_id
),

events as (
    select
        experiment_id,
        variant_id,
        sum(event_count)::bigint as event_count,
        sum(offered_count)::bigint as offered_count,
        sum(accepted_count)::bigint as accepted_count,
        sum(rejected_count)::bigint as rejected_count,
        -- whoever reports no offers still reports decisions; a lost offer must not make a rate above 1
        greatest(sum(offered_count), sum(accepted_count) + sum(rejected_count))::bigint as acceptance_denominator,
        sum(accepted_event_with_edits_count)::bigint as accepted_event_with_edits_count,
        sum(accepted_edit_count)::bigint as accepted_edit_count,
        sum(event_with_tokens_count)::bigint as event_with_tokens_count,
        sum(token_count)::bigint as token_count,
        sum(event_with_cost_count)::bigint as event_with_cost_count,
        sum(cost_usd) as cost_usd
    from {{ certified('experiment_events_daily') }}
    group by experiment_id, variant_id
),

running as (
    select
        experiment_id,
        variant_id,
        latency_ms,
        sum(event_count) as event_count,
        sum(sum(event_count)) over (partition by experiment_id, variant_id order by latency_ms) as running_count,
        sum(sum(event_count)) over (partition by experiment_id, variant_id) as all_count
    from {{ certified('experiment_latency_histogram_daily') }}
    group by experiment_id, variant_id, latency_ms
),

-- exact: the smallest latency that at least this share of the events did not exceed
latency as (
    select
        experiment_id,
        variant_id,
        sum(event_count)::bigint as event_with_latency_count,
        min(latency_ms) filter (where running_count >= 0.5 * all_count) as latency_p50_ms,
        min(latency_ms) filter (where running_count >= 0.95 * all_count) as latency_p95_ms,
        min(latency_ms) filter (where running_count >= 0.99 * all_count) as latency_p99_ms
    from running
    group by experiment_id, variant_id
)

select
    variants.experiment_id,
    listed_experiments.name as experiment_name,
    listed_experiments.status as experiment_status,
    variants.variant_id,
    listed_variants.name as variant_name,
    listed_variants.is_control,
    listed_variants.allocation,
    coalesce(assignments.user_count, 0) as user_count,
    coalesce(assignments.assignment_count, 0) as assignment_count,
    coalesce(assignments.user_in_several_variants_count, 0) as user_in_several_variants_count,
    coalesce(events.event_count, 0) as event_count,
    coalesce(events.offered_count, 0) as offered_count,
    coalesce(events.accepted_count, 0) as accepted_count,
    coalesce(events.rejected_count, 0) as rejected_count,
    coalesce(events.acceptance_denominator, 0) as acceptance_denominator,
    events.accepted_count::numeric / nullif(events.acceptance_denominator, 0) as acceptance_rate,
    coalesce(events.accepted_event_with_edits_count, 0) as accepted_event_with_edits_count,
    coalesce(events.accepted_edit_count, 0) as accepted_edit_count,
    events.accepted_edit_count::numeric / nullif(events.accepted_event_with_edits_count, 0) as edits_per_accepted,
    coalesce(latency.event_with_latency_count, 0) as event_with_latency_count,
    latency.latency_p50_ms,
    latency.latency_p95_ms,
    latency.latency_p99_ms,
    coalesce(events.event_with_tokens_count, 0) as event_with_tokens_count,
    coalesce(events.token_count, 0) as token_count,
    coalesce(events.event_with_cost_count, 0) as event_with_cost_count,
    coalesce(events.cost_usd, 0) as cost_usd
from variants
left join listed_experiments on variants.experiment_id = listed_experiments.experiment_id
left join listed_variants
    on variants.experiment_id = listed_variants.experiment_id and variants.variant_id = listed_variants.variant_id
left join assignments
    on variants.experiment_id = assignments.experiment_id and variants.variant_id = assignments.variant_id
left join events on variants.experiment_id = events.experiment_id and variants.variant_id = events.variant_id
left join latency on variants.experiment_id = latency.experiment_id and variants.variant_id = latency.variant_id
