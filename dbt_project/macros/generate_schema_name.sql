{# A model's schema is its layer, without dbt's default prefix: certified SQL must read the same everywhere. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
