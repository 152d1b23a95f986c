-- A file that retention removed: its row stays, because its days were made from it and must not look changed.
alter table governance.landing_files add column if not exists retired_at timestamptz;

-- One row per day that anything is known of: the single answer to "which days are certified, and why is one not".
create or replace view governance.day_status as
with
landed as (
  select
    t.day::date as day,
    count(distinct f.path) as files,
    sum(t.records::bigint) as records,
    bool_or(f.retired_at is not null) as is_retired,
    array_agg(d.dataset || ':' || f.path || ':' || f.sha256 order by d.dataset, f.path) as content
  from governance.landing_files f
  cross join lateral jsonb_each(f.rows) as d (dataset, by_day)
  cross join lateral jsonb_each_text(d.by_day) as t (day, records)
  where f.problem is null
  group by 1
),
loaded_content as (
  select day, array_agg(dataset || ':' || file || ':' || sha256 order by dataset, file) as content
  from governance.load_files
  where problem is null and rows_in > 0
  group by day
),
-- what came after a day's files were retired cannot be loaded without them: the day stays as it is
changed as (
  select landed.day
  from landed left join loaded_content on loaded_content.day = landed.day
  where not landed.is_retired and landed.content is distinct from loaded_content.content
  union
  select loaded_content.day
  from loaded_content left join landed on landed.day = loaded_content.day
  where landed.day is null
),
turns as (
  select * from governance.loads where dataset = 'turns' and is_live
),
accounts as (
  select
    day,
    sum(rows_loaded)::bigint as rows_loaded,
    sum(rows_quarantined)::bigint as rows_quarantined,
    sum(rows_duplicate)::bigint as rows_duplicate
  from governance.loads
  where dataset <> 'marts' and is_live
  group by day
),
marts as (
  select * from governance.loads where dataset = 'marts' and is_live
),
live as (
  select
    day,
    min(load_id) as load_id,
    min(certificate_id) as certificate_id,
    max(version) as version,
    max(published_at) as published_at
  from governance.publications
  where is_live
  group by day
),
days as (
  select day from landed
  union select day from turns
  union select day from governance.verdicts
  union select day from live
)
select
  days.day,
  coalesce(landed.files, 0) as landed_files,
  coalesce(landed.records, 0) as landed_records,
  coalesce(accounts.rows_loaded, 0) as rows_loaded,
  coalesce(accounts.rows_quarantined, 0) as rows_quarantined,
  coalesce(accounts.rows_duplicate, 0) as rows_duplicate,
  turns.load_id as turns_load_id,
  marts.load_id as marts_load_id,
  marts.code_version as marts_code_version,
  live.certificate_id,
  live.version,
  live.published_at,
  case
    when verdicts.status = 'blocked' and verdicts.load_id is not distinct from turns.load_id
      and changed.day is null then 'blocked'
    when turns.load_id is null and live.load_id is null then 'not loaded'
    when changed.day is not null then 'stale'
    when live.load_id is null then 'not certified'
    when live.load_id is distinct from marts.load_id then 'stale'
    else verdicts.status
  end as status,
  case
    when changed.day is not null and turns.load_id is not null
      then 'files changed after they were loaded'
    when live.load_id is not null and live.load_id is distinct from marts.load_id
      then 'rebuilt after it was published, not judged yet'
  end as stale_because,
  coalesce(verdicts.reasons, '[]'::jsonb) as reasons,
  verdicts.decided_at
from days
left join landed on landed.day = days.day
left join changed on changed.day = days.day
left join turns on turns.day = days.day
left join accounts on accounts.day = days.day
left join marts on marts.day = days.day
left join live on live.day = days.day
left join governance.verdicts on verdicts.day = days.day;

create or replace view certified.day_status as
select
  day, landed_files, landed_records, rows_loaded, rows_quarantined, rows_duplicate,
  status, stale_because, reasons, certificate_id, version, published_at, decided_at
from governance.day_status;
comment on view certified.day_status is 'Grain: one row per day. Whether it is certified, and why not.';
