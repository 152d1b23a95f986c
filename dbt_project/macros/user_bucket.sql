{#
  One of 200 buckets that a user always falls into: variance between buckets stands for variance between users, adds
  up over days, and names nobody. A session without user is a user of its own.
#}
{% macro user_bucket(user='user_id', session='session_id') -%}
    (abs(hashtextextended(coalesce({{ user }}, {{ session }}), 0) % 200))::integer
{%- endmacro %}
