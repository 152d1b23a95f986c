{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Offered sessions are those that a source declares and those that have turns. Only the turns of the session's own day
-- are looked for: a day must not change when another one arrives.
with

declared as (
    select
        sessions.session_date,
        sessions.session_id,
        sessions.source,
        sessions.channel,
        loads.load_id
    from {{ ref('stg_sessions') }} as sessions
    inner join {{ source('governance', 'loads') }} as loads
        on
            sessions.session_date = loads.day
            and loads.dataset = 'marts'
            and loads.is_live
    where sessions.session_date between {{ window_start() }} and {{ window_end() }}
),

connected as (
    select
        session_date,
        session_id,
        source,
        channel,
        user_turn_count,
        load_id
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
),

offered as (
    select
        coalesce(connected.session_date, declared.session_date) as session_date,
        coalesce(connected.source, declared.source) as source,
        coalesce(declared.channel, connected.channel) as channel,
        declared.session_id is not null as is_declared,
        connected.session_id is not null as is_connected,
        coalesce(connected.user_turn_count, 0) > 0 as is_engaged,
        coalesce(connected.load_id, declared.load_id) as load_id
    from connected
    full outer join declared
        on
            connected.session_date = declared.session_date
            and connected.session_id = declared.session_id
            and connected.source = declared.source
)

select
    session_date,
    source,
    channel,
    count(*) as offered_session_count,
    count(*) filter (where is_declared) as declared_session_count,
    count(*) filter (where is_connected) as connected_session_count,
    count(*) filter (where is_engaged) as engaged_session_count,
    count(*) filter (where not is_connected) as sessions_without_turns,
    min(load_id collate "C") as load_id
from offered
group by session_date, source, channel
