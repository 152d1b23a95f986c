-- Median and p90 of a skewed figure, exact to the second and from counts: the smallest whole second that at least that
-- share of the sessions does not exceed. Over several days count anew; never average these.
with

counts as (
    select
        session_date,
        source,
        ceil(duration_seconds)::bigint as seconds,
        count(*) as session_count,
        sum(duration_seconds::numeric) as duration_seconds
    from {{ certified('fact_voice_ai_sessions') }}
    where duration_seconds is not null
    group by session_date, source, ceil(duration_seconds)
),

cumulative as (
    select
        *,
        sum(session_count) over (partition by session_date, source order by seconds) as sessions_up_to,
        sum(session_count) over (partition by session_date, source) as timed_session_count
    from counts
)

select
    session_date,
    source,
    max(timed_session_count)::bigint as timed_session_count,
    min(seconds) filter (where sessions_up_to >= 0.50 * timed_session_count) as p50_seconds,
    min(seconds) filter (where sessions_up_to >= 0.90 * timed_session_count) as p90_seconds,
    sum(duration_seconds) as duration_seconds,
    sum(duration_seconds) / max(timed_session_count) as mean_seconds
from cumulative
group by session_date, source
