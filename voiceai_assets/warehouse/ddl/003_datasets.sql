-- More datasets than turns. The index of landing is made anew at the next look: nothing in it is anybody's work.
do $$
begin
  if exists (
    select from information_schema.columns
    where table_schema = 'governance' and table_name = 'landing_files' and column_name = 'rows_by_day'
  ) then
    drop table governance.landing_files cascade;
  end if;
end $$;

create table if not exists governance.landing_files (
  path text primary key,
  adapter text not null,
  size_bytes bigint not null,
  mtime_ns bigint not null,
  sha256 text not null,
  rows jsonb not null,
  home_day date,
  problem text,
  companions jsonb not null,
  indexed_at timestamptz not null default now()
);
comment on column governance.landing_files.rows is 'dataset -> day -> records';
comment on column governance.landing_files.companions is 'files that say which day its rows belong to, with sha256';

alter table governance.load_files add column if not exists problem text;

-- One record may become several rows (a call document its turns), of which more than one may be refused.
alter table governance.quarantine drop constraint if exists quarantine_pkey;
create index if not exists quarantine_by_day on governance.quarantine (dataset, day, file, line);

-- Everything that is taken in for a day, under one name: what the intake's checks judge, and what a reload changes.
create or replace view governance.intakes as
select
  day,
  string_agg(dataset || ':' || load_id, ',' order by dataset collate "C") as loads,
  left(
    encode(sha256(convert_to(string_agg(dataset || ':' || load_id, ',' order by dataset collate "C"), 'UTF8')), 'hex'),
    16
  ) as intake_id,
  bool_or(jsonb_array_length(inputs) > 0) as has_files
from governance.loads
where is_live and dataset <> 'marts'
group by day
having bool_or(dataset = 'turns');
