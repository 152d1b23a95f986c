{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
    indexes=[{'columns': ['session_date', 'session_id']}],
) }}

-- Appends an outcome when it differs from the one that was recorded last. A dbt snapshot would say the same, but joins
-- every session there ever was, every day; this reads the days of the run, by index. Never rebuilt: the past is not
-- computed from anything that is still there.
with

sessions as (
    select
        session_date,
        session_id,
        final_outcome,
        outcome_basis,
        load_id
    from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
)

select
    sessions.session_date,
    sessions.session_id,
    sessions.final_outcome,
    sessions.outcome_basis,
    sessions.load_id,
    current_timestamp as recorded_at
from sessions
{% if is_incremental() -%}
    left join (
        select distinct on (session_date, session_id)
            session_date,
            session_id,
            final_outcome,
            outcome_basis
        from {{ this }}
        where session_date between {{ window_start() }} and {{ window_end() }}
        order by session_date asc, session_id asc, recorded_at desc
    ) as latest
        on sessions.session_date = latest.session_date and sessions.session_id = latest.session_id
    where
        sessions.final_outcome is distinct from latest.final_outcome
        or sessions.outcome_basis is distinct from latest.outcome_basis
{%- endif %}
