{{ config(meta={'dagster': {'ref': {'name': 'feature_session_prefix'}}}) }}

-- Guards against fan-out and lost rows: a session has as many prefixes as it has user turns, numbered without a gap. A
-- join that multiplied them would count its callers several times when the model learns.
with sessions as (
    select
        session_date,
        session_id,
        user_turn_count
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }} and user_turn_count > 0
),

prefixes as (
    select
        session_date,
        session_id,
        count(*) as prefix_count,
        max(k) as last_k
    from {{ ref('feature_session_prefix') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date, session_id
)

select
    coalesce(sessions.session_date, prefixes.session_date) as session_date,
    coalesce(sessions.session_id, prefixes.session_id) as session_id,
    sessions.user_turn_count,
    prefixes.prefix_count,
    prefixes.last_k
from sessions
full outer join prefixes
    on sessions.session_date = prefixes.session_date and sessions.session_id = prefixes.session_id
where
    sessions.user_turn_count is distinct from prefixes.prefix_count
    or prefixes.prefix_count is distinct from prefixes.last_k
