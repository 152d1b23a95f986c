{{ config(materialized='day_replace', day_column='call_date', partitioned=false) }}

-- Every number is a sum, so rows may be added up over days, currencies and agents; amounts within one currency only.
select
    call_date,
    agent_name,
    currency,
    count(*) as call_count,
    count(is_converted) as decided_call_count,
    count(*) filter (where is_converted) as converted_call_count,
    count(*) filter (where upsell_amount > 0) as upsold_call_count,
    sum(upsell_amount)::numeric(18, 6) as upsell_amount,
    sum(offered_amount)::numeric(18, 6) as offered_amount,
    sum(reversed_amount)::numeric(18, 6) as reversed_amount,
    count(*) filter (where sentiment = 'positive') as positive_call_count,
    count(*) filter (where sentiment = 'neutral') as neutral_call_count,
    count(*) filter (where sentiment = 'negative') as negative_call_count,
    count(duration_seconds) as timed_call_count,
    sum(round(duration_seconds * 1000)::bigint)::bigint as duration_ms,
    min(load_id collate "C") as load_id
from {{ ref('gold_performance_metrics') }}
where call_date between {{ window_start() }} and {{ window_end() }}
group by call_date, agent_name, currency
