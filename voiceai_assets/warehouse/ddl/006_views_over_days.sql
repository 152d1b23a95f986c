-- Views of the experiment platform, made from certified tables only, hence as readable as those.
create schema if not exists exp;
comment on schema exp is 'views over certified tables, under the names that experimenters know';
grant usage on schema exp to bi_reader;
alter default privileges in schema exp grant select on tables to bi_reader;

-- Of which code the parts of the dbt project are that need not be built for every day: seeds and staging views, the
-- shapes of the marts, the views over published days. Each is made again when its code changes.
create table if not exists governance.built_parts (part text primary key, version text not null);

-- Where the turns of a day went: what a suite cannot ask of an empty table is asked here.
create or replace view governance.day_accounts as
select
  intakes.day,
  coalesce(sum(loads.rows_loaded) filter (where loads.dataset = 'turns'), 0)::bigint as turns_loaded,
  coalesce(sum(loads.rows_loaded) filter (where loads.dataset in ('turns', 'calls', 'experiment_events')), 0)::bigint
    as conversation_rows_loaded,
  coalesce(sum(loads.rows_loaded), 0)::bigint as rows_loaded
from governance.intakes
inner join governance.loads on intakes.day = loads.day and loads.is_live and loads.dataset <> 'marts'
group by intakes.day;
