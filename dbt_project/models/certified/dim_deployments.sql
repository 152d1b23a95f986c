-- Sessions name their release, or only the version of their model: then they belong to the one release of that
-- version, and to none where there are several. What was seen and never declared is listed, too.
with

latest as (
    select
        source,
        max(snapshot_date) as snapshot_date
    from {{ certified('deployment_list_entries') }}
    group by source
),

declared as (
    select distinct on (releases.deployment_id)
        releases.deployment_id,
        releases.model_version,
        releases.component,
        releases.environment,
        releases.released_at,
        releases.ended_at
    from {{ certified('deployment_list_entries') }} as releases
    inner join latest on releases.source = latest.source and releases.snapshot_date = latest.snapshot_date
    order by releases.deployment_id, releases.source
),

single as (
    select
        model_version,
        min(deployment_id collate "C") as deployment_id
    from declared
    where model_version is not null
    group by model_version
    having count(*) = 1
),

observed as (
    select
        coalesce(sessions.deployment_id, single.deployment_id) as deployment_id,
        min(sessions.model_version collate "C") as model_version,
        count(distinct sessions.model_version) as model_version_count,
        min(sessions.session_date) as first_session_date,
        max(sessions.session_date) as last_session_date,
        sum(sessions.session_count)::bigint as session_count
    from {{ certified('agg_sessions_daily') }} as sessions
    left join single on sessions.model_version = single.model_version
    where sessions.deployment_id is not null or sessions.model_version is not null
    group by
        coalesce(sessions.deployment_id, single.deployment_id),
        case when coalesce(sessions.deployment_id, single.deployment_id) is null then sessions.model_version end
)

select
    coalesce(declared.deployment_id, observed.deployment_id) as deployment_id,
    coalesce(declared.model_version, observed.model_version) as model_version,
    declared.component,
    declared.environment,
    declared.released_at,
    declared.ended_at,
    declared.deployment_id is not null as is_declared,
    observed.session_count is not null as is_observed,
    coalesce(
        observed.model_version_count > 1 or observed.model_version <> declared.model_version, false
    ) as is_version_contradictory,
    observed.first_session_date,
    observed.last_session_date,
    coalesce(observed.session_count, 0) as session_count
from declared
full outer join observed on declared.deployment_id = observed.deployment_id
