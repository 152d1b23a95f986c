{# Who made the first turn of a session that names anybody. Not the smallest pseudonym: which one that is changes with
   the key, and a rotation would give sessions with two callers to the other one. One pass, no sort: order and caller
   travel in one text. #}
{% macro first_caller() -%}
    split_part(
        min((lpad(turn_number::text, 12, '0') || speaker || chr(1) || user_id) collate "C"), chr(1), 2
    )
{%- endmacro %}
