{# The published days of a mart: what a view over days reads. The ref() keeps lineage; the schema keeps the gate. In a
   unit test ref() gives the rows of the test, and those are read. #}
{% macro certified(mart) -%}
    {%- set built = ref(mart) -%}
    {{ return(built if built.is_cte else api.Relation.create(
        database=target.database, schema='certified', identifier=mart
    )) }}
{%- endmacro %}
