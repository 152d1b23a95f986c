{# The first value in an order; ties go to the smaller text, so that the choice is the same on every server. #}
{% macro first_of(column, order) -%}
    (array_agg({{ column }} order by {{ order }}, {{ column }} collate "C") filter (where {{ column }} is not null))[1]
{%- endmacro %}
