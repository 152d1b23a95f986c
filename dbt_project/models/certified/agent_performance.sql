-- Counts beside every rate: a reader who groups further, or wants an interval, divides sums and never averages rates.
with

by_currency as (
    select
        agent_name,
        currency,
        sum(call_count) as call_count,
        sum(decided_call_count) as decided_call_count,
        sum(converted_call_count) as converted_call_count,
        sum(upsold_call_count) as upsold_call_count,
        sum(upsell_amount) as upsell_amount,
        sum(positive_call_count) as positive_call_count,
        sum(neutral_call_count) as neutral_call_count,
        sum(negative_call_count) as negative_call_count,
        min(call_date) as first_date,
        max(call_date) as last_date
    from {{ certified('agent_performance_daily') }}
    group by agent_name, currency
),

by_agent as (
    select
        agent_name,
        sum(call_count)::bigint as call_count,
        sum(decided_call_count)::bigint as decided_call_count,
        sum(converted_call_count)::bigint as converted_call_count,
        sum(upsold_call_count)::bigint as upsold_call_count,
        sum(positive_call_count)::bigint as positive_call_count,
        sum(neutral_call_count)::bigint as neutral_call_count,
        sum(negative_call_count)::bigint as negative_call_count,
        sum(positive_call_count + neutral_call_count + negative_call_count) as felt_call_count,
        count(*) filter (where upsell_amount > 0) as currency_count,
        max(currency) filter (where upsell_amount > 0) as currency,
        coalesce(sum(upsell_amount), 0) as upsell_amount,
        jsonb_object_agg(coalesce(currency, '?'), upsell_amount) filter (where upsell_amount > 0) as upsell_amounts,
        min(first_date) as first_date,
        max(last_date) as last_date
    from by_currency
    group by agent_name
)

select
    agent_name,
    call_count,
    decided_call_count,
    converted_call_count,
    converted_call_count::numeric / nullif(decided_call_count, 0) as conversion_rate,
    upsold_call_count,
    case when currency_count <= 1 then upsell_amount end as upsell_amount,
    case when currency_count <= 1 then upsell_amount / nullif(decided_call_count, 0) end as upsell_per_call,
    case when currency_count = 1 then currency end as currency,
    upsell_amounts,
    positive_call_count,
    neutral_call_count,
    negative_call_count,
    positive_call_count / nullif(felt_call_count, 0) as positive_share,
    neutral_call_count / nullif(felt_call_count, 0) as neutral_share,
    negative_call_count / nullif(felt_call_count, 0) as negative_share,
    first_date,
    last_date
from by_agent
