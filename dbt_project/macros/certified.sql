{# The published days of a mart: what a view over days reads. The ref() keeps lineage; the schema keeps the gate. #}
{% macro certified(mart) -%}
    {%- do ref(mart) -%}
    {{ return(api.Relation.create(database=target.database, schema='certified', identifier=mart)) }}
{%- endmacro %}
