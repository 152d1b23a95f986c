{#
  Materialisation `day_replace`: a table of which a run replaces the days in its window.

  A fact has one range partition per day; what has few rows a day (partitioned=false) is a plain table, because a
  partition costs 3 ms to make and thirty marts over ninety days would make 2,700 of them.

  Instead of the incremental strategies: delete+insert writes every row twice (temporary table) and leaves a day
  behind that lost all its rows; microbatch and merge need MERGE, which a distributed PostgreSQL refuses.
  Everything happens in one transaction, so a failure or a second run leaves the same table.

  Config: day_column (date, not null), partitioned (default true). Columns come from the model's enforced contract.
#}
{% materialization day_replace, adapter='postgres', supported_languages=['sql'] %}
    {%- set day_column = config.require('day_column') -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and (should_full_refresh() or not existing.is_table) -%}
        {% do adapter.drop_relation(existing) %}
        {%- set existing = none -%}
    {%- endif -%}

    {%- if existing is none -%}
        {% call statement('create') -%} {{ create_day_table(target_relation, day_column, sql) }} {%- endcall %}
        {% do create_indexes(target_relation) %}
    {%- elif shapes_may_differ() -%}
        {{ get_assert_columns_equivalent(sql) }}
        {% do adopt_new_columns(target_relation) %}
        {% do adopt_new_types(target_relation) %}
    {%- endif -%}

    {% call statement('empty') -%} {{ empty_days(target_relation, day_column) }} {%- endcall %}
    {% call statement('main') -%}
        insert into {{ target_relation }} ({{ contract_column_names() }})
        select {{ contract_column_names() }} from ({{ sql }}) as replaced_days
    {%- endcall %}
    {% if is_partitioned() -%}
        {% call statement('analyse') -%} {{ analyse_day_partitions(target_relation) }} {%- endcall %}
    {%- endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% if existing is none or shapes_may_differ() %}{% do persist_docs(target_relation, model) %}{% endif %}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% macro contract_column_names() -%}
    {%- for name in model['columns'] -%} {{ adapter.quote(name) }}{{ ", " if not loop.last }} {%- endfor -%}
{%- endmacro %}


{# False when this code has built every table before: then their columns and comments are known to fit (2 s a run). #}
{% macro shapes_may_differ() -%} {{ return(env_var('DBT_SHAPES', 'check') != 'known') }} {%- endmacro %}


{% macro is_partitioned() -%} {{ return(config.get('partitioned', true)) }} {%- endmacro %}


{# The one place that knows how the engine stores a day (a distributed PostgreSQL would add its distribution here). #}
{% macro create_day_table(relation, day_column, sql) %}
    {{ get_assert_columns_equivalent(sql) }}
    create table {{ relation }} {{ get_table_columns_and_constraints() }}
    {%- if is_partitioned() %} partition by range ({{ day_column }}){% endif %};
    {%- if not is_partitioned() %}
    create index on {{ relation }} ({{ day_column }});
    {%- endif %}
{% endmacro %}


{% macro empty_days(relation, day_column) %}
    {%- if is_partitioned() -%} {{ replace_day_partitions(relation) }}
    {%- else -%}
        delete from {{ relation }} where {{ day_column }} between {{ window_start() }} and {{ window_end() }}
    {%- endif -%}
{% endmacro %}


{# Empty the window's partitions that exist, and make those that are missing for days that have been loaded. #}
{% macro replace_day_partitions(relation) %}
    {% call for_each_day_partition(relation) %}
        if to_regclass('{{ relation.schema }}.' || partition_name) is null then
            execute format(
                'create table {{ relation.schema }}.%I partition of {{ relation }} for values from (%L) to (%L)',
                partition_name, one_day, one_day + 1
            );
        else
            execute format('truncate {{ relation.schema }}.%I', partition_name);
        end if;
    {% endcall %}
{% endmacro %}


{# Without statistics the next model is planned for an empty table, which made a day of a million turns 1.5 s slower. #}
{% macro analyse_day_partitions(relation) %}
    {% call for_each_day_partition(relation) %}
        execute format('analyze {{ relation.schema }}.%I', partition_name);
    {% endcall %}
{% endmacro %}


{# Runs the caller's PL/pgSQL with one_day and partition_name for every loaded day of the window. #}
{% macro for_each_day_partition(relation) %}
    do $$
    declare
        one_day date;
        partition_name text;
    begin
        for one_day in
            select day from governance.loads
            where dataset = 'marts' and is_live and day between {{ window_start() }} and {{ window_end() }}
            order by day
        loop
            partition_name := '{{ relation.identifier }}_' || to_char(one_day, 'YYYYMMDD');
            {{ caller() }}
        end loop;
    end $$;
{% endmacro %}


{# A model that gained a column widens its table; days built before hold null there until they are built again. #}
{% macro adopt_new_columns(relation) %}
    {%- set have = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- for name, column in model['columns'].items() if name not in have -%}
        {% call statement('add_' ~ name) -%}
            alter table {{ relation }} add column {{ adapter.quote(name) }} {{ column['data_type'] }}
        {%- endcall %}
    {%- endfor -%}
    {%- for name in have if name not in model['columns'] -%}
        {% call statement('drop_' ~ name) -%}
            alter table {{ relation }} drop column {{ adapter.quote(name) }}
        {%- endcall %}
    {%- endfor -%}
{% endmacro %}


{#
  A column that the model gives another type: an insert would round a fraction into a whole number without a word.
  Views that read the table stand in the way; they are the models behind it, so this run makes them again.
#}
{% macro adopt_new_types(relation) %}
    {%- call statement('types', fetch_result=True) -%}
        select attname from pg_attribute join (values
            {%- for name, column in model['columns'].items() %}
            ('{{ name }}', '{{ column['data_type'] }}'::regtype){{ "," if not loop.last }}
            {%- endfor %}
        ) as wanted (name, type) on name = attname
        where attrelid = '{{ relation }}'::regclass and not attisdropped and atttypid <> type
    {%- endcall -%}
    {%- set changed = load_result('types')['data'] | map('first') | list -%}
    {%- if changed -%}
        {%- call statement('readers', fetch_result=True) -%}
            select distinct nspname, relname from pg_depend join pg_rewrite on pg_rewrite.oid = objid
            join pg_class on pg_class.oid = ev_class join pg_namespace on pg_namespace.oid = relnamespace
            where refobjid = '{{ relation }}'::regclass and classid = 'pg_rewrite'::regclass and ev_class <> refobjid
        {%- endcall -%}
        {%- for schema, name in load_result('readers')['data'] -%}
            {% do adapter.drop_relation(api.Relation.create(
                database=relation.database, schema=schema, identifier=name, type='view')) %}
        {%- endfor -%}
    {%- endif -%}
    {%- for name in changed -%}
        {%- set type = model['columns'][name]['data_type'] -%}
        {% call statement('type_of_' ~ name) -%}
            alter table {{ relation }} alter column {{ adapter.quote(name) }} type {{ type }}
            using {{ adapter.quote(name) }}::{{ type }}
        {%- endcall %}
    {%- endfor -%}
{% endmacro %}
