-- Users by the day of their first published session, and how many of them came back within thirty days. Unknown until
-- every one of those days has been published: counting earlier would call everybody of last week a user who left.
-- Whoever called before the first published day counts as new on the day they are first seen.
with

sessions as (
    select
        user_id,
        source,
        session_date,
        started_at,
        row_number() over (
            partition by user_id order by started_at, session_date, session_id collate "C"
        ) as session_number,
        lead(started_at) over (
            partition by user_id order by started_at, session_date, session_id collate "C"
        ) as next_started_at,
        lead(session_date) over (
            partition by user_id order by started_at, session_date, session_id collate "C"
        ) as next_session_date
    from {{ certified('fact_voice_ai_sessions') }}
    where user_id is not null
),

days as (
    select
        session_date,
        count(*) over (
            order by session_date range between interval '1 day' following and interval '30 days' following
        ) as published_day_count
    from (select distinct session_date from {{ certified('fact_voice_ai_sessions') }}) as published_days
),

-- hours, not days: a day of an interval is as long as the server's time zone makes it
first_sessions as (
    select
        session_date,
        source,
        next_started_at <= started_at + interval '720 hours' and next_session_date <= session_date + 30 as is_repeated
    from sessions
    where session_number = 1
)

select
    sessions.session_date as first_session_date,
    sessions.source,
    min(days.published_day_count) as published_day_count,
    min(days.published_day_count) = 30 as is_mature,
    count(*) as user_count,
    case
        when min(days.published_day_count) = 30
            then count(*) filter (where sessions.is_repeated)
    end as repeat_user_count
from first_sessions as sessions
inner join days on sessions.session_date = days.session_date
group by sessions.session_date, sessions.source
