{#
  Fields of the JSON that events carry, typed. Whatever an emitter writes there, a query must not fail: what is no
  value of the type is null.

  A number written as text ("12") is null, too: text retention takes texts out of these documents, and a day that is
  built again must give the same figures. For the same reason every member that is read as text is one that
  lake/texts.py keeps (KEPT_MEMBERS).
#}

{# A number from 0 to `most`, exact to nine digits; numeric, so that sums do not depend on the order of rows. #}
{% macro json_number(document, member, most='1e8') -%}
    case
        when jsonb_typeof({{ document }} -> '{{ member }}') = 'number'
            then
                case
                    when ({{ document }} ->> '{{ member }}')::numeric between 0 and {{ most }}
                        then round(({{ document }} ->> '{{ member }}')::numeric, 9)
                end
    end
{%- endmacro %}

{# A whole number from 0 to `most`; 3.0 is one, 3.7 is none. #}
{% macro json_integer(document, member, most='1e9') -%}
    case
        when jsonb_typeof({{ document }} -> '{{ member }}') = 'number'
            then
                case
                    when
                        ({{ document }} ->> '{{ member }}')::numeric between 0 and {{ most }}
                        and trunc(({{ document }} ->> '{{ member }}')::numeric) = ({{ document }} ->> '{{ member }}')::numeric
                        then ({{ document }} ->> '{{ member }}')::numeric::bigint
                end
    end
{%- endmacro %}

{# true, false, 1 or 0. #}
{% macro json_boolean(document, member) -%}
    case
        when {{ document }} -> '{{ member }}' in ('true'::jsonb, '1'::jsonb) then true
        when {{ document }} -> '{{ member }}' in ('false'::jsonb, '0'::jsonb) then false
    end
{%- endmacro %}

{# The name of a thing: a text or a number; an empty one is none. #}
{% macro json_id(document, member) -%}
    case
        when jsonb_typeof({{ document }} -> '{{ member }}') in ('string', 'number')
            then nullif(trim({{ document }} ->> '{{ member }}'), '')
    end
{%- endmacro %}

{# A word of a vocabulary (a state, a reason). What has blanks in it or is long is free text and becomes 'other'. #}
{% macro json_code(document, member) -%}
    case
        when {{ json_id(document, member) }} ~ '^[^[:space:]@]{1,64}$' then {{ json_id(document, member) }}
        when {{ json_id(document, member) }} is not null then 'other'
    end
{%- endmacro %}

{#
  The session an event names. An id that redaction took for a number (a run of eight digits) no longer tells sessions
  apart and is none, or all of them would become one; a UUID keeps enough of its digits.
#}
{% macro json_session_id(document, member) -%}
    case
        when {{ json_id(document, member) }} !~ '\[(PHONE|NUMBER|CARD|EMAIL|NAME|USER)\]'
            then {{ json_id(document, member) }}
        when
            regexp_replace({{ json_id(document, member) }}, '\[(PHONE|NUMBER|CARD)\]', '', 'g')
            ~ '^([0-9a-fA-F]-?){12,}$'
            then {{ json_id(document, member) }}
    end
{%- endmacro %}

{# The experiments an event names, in order: {"items": [...]}, or one object. #}
{% macro event_experiments(document) -%}
    case
        when jsonb_typeof({{ document }} -> 'items') is not null
            then jsonb_path_query_array({{ document }}, '$.items[*] ? (exists(@.experiment_id) || exists(@.variant_id))')
        when {{ document }} is not null then jsonb_build_array({{ document }})
        else '[]'::jsonb
    end
{%- endmacro %}
