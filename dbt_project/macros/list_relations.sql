{#
  What dbt looks up at its start, without the partitions of single days: a year makes 365 of each partitioned model,
  all of which dbt would fetch and keep in every run. Functions, which this project has none of, are left out, too.
#}
{% macro postgres__list_relations_without_caching(schema_relation) %}
    {% call statement('list_relations_without_caching', fetch_result=True) -%}
        select
            '{{ schema_relation.database }}' as database,
            c.relname as name,
            n.nspname as schema,
            case c.relkind when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end as type
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname ilike '{{ schema_relation.schema }}' and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    {%- endcall %}
    {{ return(load_result('list_relations_without_caching').table) }}
{% endmacro %}
