{#
  Whether a user turn carries a confidence (a system's row may, too; it means nothing there), and of which band: low
  below 0.6, high from 0.8. The bands are a convention; words are judged by their error rate, which needs transcripts.
  What is no proportion at all is left out, as exact_avg does: the checks of raw.turns refuse such a day.
#}
{% macro is_confidence(column, band='any') -%}
    {%- set bounds = {'any': [-1e3, 1e3], 'low': [-1e3, 0.6], 'medium': [0.6, 0.8], 'high': [0.8, 1e3]}[band] -%}
    is_user_turn and {{ column }} >= {{ bounds[0] }} and {{ column }} < {{ bounds[1] }}
{%- endmacro %}
