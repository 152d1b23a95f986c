{{ config(materialized='day_replace', day_column='event_date', partitioned=false) }}

-- An event in two experiments counts in both, so rows of several experiments must not be added up; the columns
-- first_... count each event once, in the first experiment it names, and may be.
with

events as (
    select
        events.event_date,
        named.experiment_id,
        named.variant_id,
        named.is_first,
        events.event_type,
        events.user_id,
        events.latency_ms,
        events.token_count,
        events.cost_usd,
        events.edit_count,
        events.is_accepted,
        events.is_offer
    from {{ ref('stg_experiment_events') }} as events
    inner join {{ ref('stg_event_experiments') }} as named
        on
            events.event_date = named.event_date
            and events.source = named.source
            and events.source_file = named.source_file
            and events.source_line = named.source_line
    where
        events.event_date between {{ window_start() }} and {{ window_end() }}
        and named.event_date between {{ window_start() }} and {{ window_end() }}
)

select
    events.event_date,
    events.experiment_id,
    events.variant_id,
    events.event_type,
    count(*) as event_count,
    count(*) filter (where events.is_first) as first_event_count,
    count(distinct events.user_id) as user_count,
    count(*) filter (where events.is_offer) as offered_count,
    count(*) filter (where events.is_accepted) as accepted_count,
    count(*) filter (where not events.is_accepted) as rejected_count,
    count(events.edit_count) as event_with_edits_count,
    coalesce(sum(events.edit_count), 0)::bigint as edit_count,
    count(events.edit_count) filter (where events.is_accepted) as accepted_event_with_edits_count,
    coalesce(sum(events.edit_count) filter (where events.is_accepted), 0)::bigint as accepted_edit_count,
    count(events.latency_ms) as event_with_latency_count,
    count(events.token_count) as event_with_tokens_count,
    coalesce(sum(events.token_count), 0)::bigint as token_count,
    coalesce(sum(events.token_count) filter (where events.is_first), 0)::bigint as first_token_count,
    count(events.cost_usd) as event_with_cost_count,
    coalesce(sum(events.cost_usd), 0)::numeric(24, 9) as cost_usd,
    coalesce(sum(events.cost_usd) filter (where events.is_first), 0)::numeric(24, 9) as first_cost_usd,
    min(loads.load_id collate "C") as load_id
from events
inner join {{ source('governance', 'loads') }} as loads
    on
        events.event_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
group by events.event_date, events.experiment_id, events.variant_id, events.event_type
