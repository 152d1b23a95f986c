{# Zone in which a source counts its days and hours; like the window, by env_var. #}
{% macro source_timezone() -%} '{{ env_var("DBT_SOURCE_TIMEZONE", "UTC") }}' {%- endmacro %}
