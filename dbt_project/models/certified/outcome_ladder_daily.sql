-- Each rung as counts, so that a rate over several days is a sum over a sum. What cannot be known is null and never
-- nought: containment where nobody would see a handover, confirmation where no business records come, repeat contact
-- until every day that a repeat could fall on has been published.
with

sessions as (
    select
        session_date,
        session_id,
        source,
        user_id,
        started_at,
        final_outcome,
        observes_transfers,
        -- the next contact is the nearest one, so it alone decides; the id settles what started at the same moment
        lead(started_at) over (
            partition by user_id order by started_at, session_date, session_id collate "C"
        ) as next_started_at,
        lead(session_date) over (
            partition by user_id order by started_at, session_date, session_id collate "C"
        ) as next_session_date
    from {{ certified('fact_voice_ai_sessions') }}
),

days as (
    select
        session_date,
        -- hours, not days: a day of an interval is as long as the server's time zone makes it
        count(*) over (
            order by session_date range between interval '1 day' following and interval '1 day' following
        ) = 1 as is_mature_24h,
        count(*) over (
            order by session_date range between interval '1 day' following and interval '7 days' following
        ) = 7 as is_mature_7d
    from (select distinct session_date from sessions) as published_days
),

applications as (
    select
        source,
        origin_session_id,
        array_agg(distinct user_id) as applicants
    from {{ certified('fact_applications') }}
    where is_completed and origin_session_id is not null
    group by source, origin_session_id
),

observing as (
    select distinct source from {{ certified('fact_applications') }}
),

judged as (
    select
        sessions.session_date,
        sessions.source,
        sessions.observes_transfers,
        sessions.final_outcome <> 'in_progress' as is_settled,
        sessions.final_outcome <> 'in_progress' and sessions.final_outcome <> 'transferred' as is_contained,
        sessions.final_outcome = 'completed' as is_completed,
        sessions.final_outcome = 'completed' and sessions.user_id is not null as is_completed_by_user,
        applications.origin_session_id is not null as is_applied,
        applications.origin_session_id is not null
        and sessions.user_id is not null
        and cardinality(array_remove(applications.applicants, null)) > 0 as has_both_users,
        coalesce(sessions.user_id = any(applications.applicants), false) as is_same_user,
        coalesce(
            sessions.next_started_at <= sessions.started_at + interval '24 hours'
            and sessions.next_session_date <= sessions.session_date + 1,
            false
        ) as is_repeated_24h,
        coalesce(
            sessions.next_started_at <= sessions.started_at + interval '168 hours'
            and sessions.next_session_date <= sessions.session_date + 7,
            false
        ) as is_repeated_7d
    from sessions
    left join applications
        on sessions.source = applications.source and sessions.session_id = applications.origin_session_id
)

select
    judged.session_date,
    judged.source,
    count(*) as session_count,
    count(*) filter (where judged.is_settled) as settled_session_count,
    case
        when bool_and(judged.observes_transfers) then count(*) filter (where judged.is_contained)
    end as contained_session_count,
    count(*) filter (where judged.is_completed) as completed_session_count,
    case
        when bool_or(observing.source is not null) then count(*) filter (where judged.is_applied)
    end as applied_session_count,
    case
        when bool_or(observing.source is not null)
            then count(*) filter (where judged.is_applied and judged.is_completed)
    end as confirmed_session_count,
    case
        when bool_or(observing.source is not null) then count(*) filter (where judged.has_both_users)
    end as applied_both_users_session_count,
    case
        when bool_or(observing.source is not null)
            then count(*) filter (where judged.has_both_users and not judged.is_same_user)
    end as applied_other_user_session_count,
    count(*) filter (where judged.is_completed_by_user) as completed_user_session_count,
    case
        when bool_and(days.is_mature_24h)
            then count(*) filter (where judged.is_completed_by_user and not judged.is_repeated_24h)
    end as no_repeat_24h_session_count,
    case
        when bool_and(days.is_mature_7d)
            then count(*) filter (where judged.is_completed_by_user and not judged.is_repeated_7d)
    end as no_repeat_7d_session_count
from judged
inner join days on judged.session_date = days.session_date
left join observing on judged.source = observing.source
group by judged.session_date, judged.source
