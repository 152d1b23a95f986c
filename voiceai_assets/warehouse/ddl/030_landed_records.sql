-- Records of each source, dataset and day that lie in landing (or lay there until retention took the file): what the
-- volume of a day is held against. Of landing and not of what is loaded, so that it does not depend on which days were
-- run before.
create or replace view governance.landed_records as
select
  t.day::date as day,
  f.adapter as source,
  d.dataset,
  sum(t.records::bigint)::bigint as records
from governance.landing_files f
cross join lateral jsonb_each(f.rows) as d (dataset, by_day)
cross join lateral jsonb_each_text(d.by_day) as t (day, records)
where f.problem is null
group by 1, 2, 3;

-- A CSV file that breaks off in its last cell looks whole, but for the end of its last line.
alter table governance.load_files add column if not exists is_open_ended boolean not null default false;
comment on column governance.load_files.is_open_ended is 'CSV whose last line has no end: its last cell may be cut';

-- Readers that were mended count other records; what the old ones counted is looked at again.
alter table governance.landing_files add column if not exists read_by text not null default '';
comment on column governance.landing_files.read_by is 'versions of the readers and the adapter that looked into it';

-- The key begins with the asset; the gate asks for one day, which would read the results of a year.
create index if not exists quality_results_by_day on governance.quality_results (day);
