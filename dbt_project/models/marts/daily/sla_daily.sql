{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- Percentiles from the counts: the smallest millisecond at or below which at least that share of the turns lies, as
-- percentile_disc gives it. Over several days add up the counts of the histogram; never average these.
with

turns as (
    select
        session_date,
        source,
        count(*) as turn_count,
        count(*) filter (where error_component is not null) as total_errors,
        count(*) filter (where error_component = 'asr') as asr_errors,
        count(*) filter (where error_component = 'llm') as llm_errors,
        count(*) filter (where error_component = 'tts') as tts_errors,
        min(load_id collate "C") as load_id
    from {{ ref('int_turns_sessionised') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date, source
),

components as (
    select
        turns.session_date,
        turns.source,
        turns.turn_count,
        turns.load_id,
        errors.component,
        errors.error_turn_count
    from turns
    cross join lateral (
        values
        ('asr', turns.asr_errors),
        ('llm', turns.llm_errors),
        ('tts', turns.tts_errors),
        ('transcode', null),
        ('total', turns.total_errors)
    ) as errors (component, error_turn_count)
),

counts as (
    select
        session_date,
        source,
        component,
        latency_ms,
        sum(turn_count)::bigint as turn_count
    from {{ ref('agg_latency_histogram_daily') }}
    where session_date between {{ window_start() }} and {{ window_end() }}
    group by session_date, source, component, latency_ms
),

-- nulls come last, so what stands below a measured millisecond is measured
cumulative as (
    select
        *,
        sum(turn_count) over (
            partition by session_date, source, component order by latency_ms nulls last
        ) as turns_up_to,
        coalesce(
            sum(turn_count) filter (where latency_ms is not null)
                over (partition by session_date, source, component),
            0
        ) as measured_turn_count
    from counts
),

percentiles as (
    select
        session_date,
        source,
        component,
        sum(turn_count)::bigint as eligible_turn_count,
        max(measured_turn_count)::bigint as measured_turn_count,
        min(latency_ms) filter (where turns_up_to >= 0.50 * measured_turn_count) as p50_ms,
        min(latency_ms) filter (where turns_up_to >= 0.90 * measured_turn_count) as p90_ms,
        min(latency_ms) filter (where turns_up_to >= 0.95 * measured_turn_count) as p95_ms,
        min(latency_ms) filter (where turns_up_to >= 0.99 * measured_turn_count) as p99_ms
    from cumulative
    group by session_date, source, component
)

select
    components.session_date,
    components.source,
    components.component,
    percentiles.p50_ms,
    percentiles.p90_ms,
    percentiles.p95_ms,
    percentiles.p99_ms,
    coalesce(percentiles.measured_turn_count, 0) as measured_turn_count,
    coalesce(percentiles.eligible_turn_count, 0) as eligible_turn_count,
    percentiles.measured_turn_count::double precision / percentiles.eligible_turn_count as coverage,
    limits.percentile as limit_percentile,
    limits.limit_ms,
    case limits.percentile
        when 50 then percentiles.p50_ms
        when 90 then percentiles.p90_ms
        when 95 then percentiles.p95_ms
        when 99 then percentiles.p99_ms
    end < limits.limit_ms as is_met,
    components.turn_count,
    components.error_turn_count,
    components.error_turn_count::double precision / components.turn_count as error_rate,
    limits.error_rate_limit,
    components.error_turn_count < limits.error_rate_limit * components.turn_count as is_error_rate_met,
    components.load_id
from components
left join percentiles
    on
        components.session_date = percentiles.session_date
        and components.source = percentiles.source
        and components.component = percentiles.component
left join {{ ref('sla_limits') }} as limits on components.component = limits.component
