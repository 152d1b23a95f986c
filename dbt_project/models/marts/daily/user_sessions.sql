{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- The brief's user_sessions, with a pseudonym in place of the telephone number. The time from a turn to the next one of
-- the session is spent in the turn's module, so the modules of a session add up to it. From a module's first turn to
-- its last would count twice what a caller left and came back to.
with

turns as (
    select
        turns.session_date,
        turns.session_id,
        coalesce(turns.user_id, sessions.user_id) as user_id,
        turns.module,
        turns.turn_at,
        lead(turns.turn_at) over (
            partition by turns.session_date, turns.session_id
            order by turns.turn_at, turns.turn_number, turns.speaker collate "C", turns.module collate "C"
        ) - turns.turn_at as time_spent
    from {{ ref('int_turns_sessionised') }} as turns
    inner join {{ ref('fact_voice_ai_sessions') }} as sessions
        on turns.session_date = sessions.session_date and turns.session_id = sessions.session_id
    where
        turns.session_date between {{ window_start() }} and {{ window_end() }}
        and sessions.session_date between {{ window_start() }} and {{ window_end() }}
),

uses as (
    select
        session_date,
        session_id,
        user_id,
        module,
        min(turn_at) as first_turn_at,
        max(turn_at) as last_turn_at,
        count(*) as turn_count,
        extract(epoch from coalesce(sum(time_spent), interval '0'))::double precision as seconds_spent,
        count(*) over (partition by session_date, session_id) as uses_of_session
    from turns
    group by session_date, session_id, user_id, module
)

select
    uses.session_date,
    uses.user_id,
    uses.session_id,
    sessions.source,
    uses.module,
    sessions.channel,
    uses.first_turn_at,
    uses.last_turn_at,
    uses.turn_count,
    -- a session in one piece is as long as the fact says, which knows what the source declares
    case when uses.uses_of_session = 1 then sessions.duration_seconds else uses.seconds_spent end as duration_seconds,
    sessions.load_id
from uses
inner join {{ ref('fact_voice_ai_sessions') }} as sessions
    on uses.session_date = sessions.session_date and uses.session_id = sessions.session_id
where sessions.session_date between {{ window_start() }} and {{ window_end() }}
