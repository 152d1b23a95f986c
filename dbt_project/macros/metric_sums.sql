{#
  Sums of numerator and denominator of every session metric of the catalogue: "<metric>_n" and "<metric>_d", in
  billionths. Whole numbers, because sums of floats depend on the order of rows and the same day must give the same
  bytes; exact up to nine billion of anything a day and bucket.
#}
{% macro metric_sums() -%}
    {%- set query -%}
        select metric, numerator, denominator from {{ ref('metrics') }}
        where relation = 'fact_voice_ai_sessions' order by metric collate "C"
    {%- endset -%}
    {%- for metric in (run_query(query).rows if execute else []) %}
        coalesce(sum(round(({{ metric['numerator'] }}) * 1e9)::bigint), 0)::bigint as {{ metric['metric'] }}_n,
        coalesce(sum(round(({{ metric['denominator'] }}) * 1e9)::bigint), 0)::bigint as {{ metric['metric'] }}_d,
    {%- endfor %}
{%- endmacro %}
