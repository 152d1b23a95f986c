{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Tokens are priced by the turn's model and characters by the turn's provider, then filed under the session's segment,
-- so that cost and sessions of a row are of the same sessions. The price is that of the session's day: a new price list
-- does not change what an old day cost.
with

sessions as (
    select * from {{ ref('fact_voice_ai_sessions') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
),

used as (
    select
        turns.session_date,
        turns.session_id,
        coalesce(turns.model_version, sessions.model_version) as model_version,
        turns.tts_provider,
        sum(turns.tokens_in) as tokens_in,
        sum(turns.tokens_out) as tokens_out,
        sum(turns.tts_characters) as tts_characters
    from {{ ref('int_turns_sessionised') }} as turns
    inner join sessions on turns.session_date = sessions.session_date and turns.session_id = sessions.session_id
    where
        turns.session_date between {{ window_start() }} and {{ window_end() }}
        and num_nonnulls(turns.tokens_in, turns.tokens_out, turns.tts_characters) > 0
    group by
        turns.session_date, turns.session_id, coalesce(turns.model_version, sessions.model_version),
        turns.tts_provider
),

-- One price for each day, item and name: where validities overlap the later one holds, so nothing is charged twice.
prices as (
    select distinct on (days.session_date, prices.item, prices.applies_to)
        days.session_date,
        prices.item,
        prices.applies_to,
        prices.usd_per_million
    from (select distinct session_date from sessions) as days
    inner join {{ ref('prices') }} as prices
        on days.session_date between prices.valid_from and coalesce(prices.valid_to, 'infinity')
    order by days.session_date asc, prices.item asc, prices.applies_to asc, prices.valid_from desc
),

items as (
    select
        used.session_date,
        used.session_id,
        measures.item,
        measures.name,
        measures.units
    from used
    cross join lateral (
        values
        ('llm_input_token', used.model_version, used.tokens_in),
        ('llm_output_token', used.model_version, used.tokens_out),
        ('tts_character', used.tts_provider, used.tts_characters)
    ) as measures (item, name, units)
),

priced as (
    select
        items.session_date,
        items.session_id,
        sum(items.units * coalesce(own.usd_per_million, usual.usd_per_million) / 1000000) as priced_cost_usd,
        coalesce(
            sum(items.units) filter (where own.usd_per_million is null and usual.usd_per_million is null), 0
        ) as unpriced_unit_count
    from items
    left join prices as own
        on
            items.session_date = own.session_date
            and items.item = own.item
            and items.name = own.applies_to
    left join prices as usual
        on
            items.session_date = usual.session_date
            and items.item = usual.item
            and usual.applies_to = 'default'
    where items.units is not null
    group by items.session_date, items.session_id
)

select
    sessions.session_date,
    sessions.source,
    sessions.channel,
    sessions.model_version,
    sessions.experiment_variant,
    count(*) as session_count,
    count(*) filter (where sessions.final_outcome = 'in_progress') as in_progress_session_count,
    count(*) filter (where sessions.final_outcome = 'completed') as completed_session_count,
    count(priced.session_id) as metered_session_count,
    sum(sessions.tokens_in)::bigint as tokens_in,
    sum(sessions.tokens_out)::bigint as tokens_out,
    sum(sessions.tts_characters)::bigint as tts_characters,
    sum(sessions.cost_usd)::numeric(38, 6) as emitted_cost_usd,
    sum(priced.priced_cost_usd)::numeric(38, 6) as priced_cost_usd,
    coalesce(sum(priced.unpriced_unit_count), 0)::bigint as unpriced_unit_count,
    min(sessions.load_id collate "C") as load_id
from sessions
left join priced on sessions.session_date = priced.session_date and sessions.session_id = priced.session_id
group by
    sessions.session_date, sessions.source, sessions.channel, sessions.model_version, sessions.experiment_variant
