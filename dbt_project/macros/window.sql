{# First and last session day of this run. By env_var, not --vars: a changed var would force a full parse (+1.6 s). #}
{% macro window_start() -%} date '{{ env_var("DBT_WINDOW_START", "1970-01-01") }}' {%- endmacro %}
{% macro window_end() -%} date '{{ env_var("DBT_WINDOW_END", "2999-12-31") }}' {%- endmacro %}

{# Silence after which a session without outcome counts as abandoned. #}
{% macro session_timeout() -%} interval '{{ env_var("DBT_SESSION_TIMEOUT_MINUTES", "30") }} minutes' {%- endmacro %}
