{# A model's schema is its layer, without dbt's default prefix: certified SQL must read the same everywhere.
   voiceai verify builds the marts a second time, into schemas of its own: DBT_SCHEMA_PREFIX. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var('DBT_SCHEMA_PREFIX', '') }}{{ custom_schema_name or target.schema }}
{%- endmacro %}
