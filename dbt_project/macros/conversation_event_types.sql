{# Events that make a conversation; contracts/experiments.py has the same list. #}
{% macro conversation_event_types() -%}
    ('conversation_started', 'message_sent', 'flow_completed', 'user_dropped_off')
{%- endmacro %}
