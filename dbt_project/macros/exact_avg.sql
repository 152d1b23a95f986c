{#
  Mean of a proportion, to nine digits, where a condition holds.

  A sum of floats depends on the order of the rows, and the same day must give the same bytes; whole numbers of
  billionths do not (numeric would not either, and takes ten times as long). What is no proportion at all is left out
  (a day's billionths must fit a bigint): the checks of raw.turns refuse such a day.
#}
{% macro exact_avg(column, condition) -%}
    sum(round({{ column }} * 1e9)::bigint) filter (where {{ condition }} and {{ column }} between -1e3 and 1e3)::double precision
    / nullif(count(*) filter (where {{ condition }} and {{ column }} between -1e3 and 1e3) * 1e9, 0)
{%- endmacro %}
