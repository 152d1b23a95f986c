-- What the lake held when it was loaded: a file that was changed afterwards is found (voiceai verify).
alter table governance.loads add column if not exists lake_sha256 text;
alter table governance.loads add column if not exists quarantine_sha256 text;
comment on column governance.loads.lake_sha256 is 'of the Parquet that was loaded; null for loads before it was kept';

-- Every word of the gate that changed something: verdicts holds only the last one, and a day that was mended would
-- otherwise look as if it had never failed.
create table if not exists governance.verdict_log (
  entry_id bigint generated always as identity primary key,
  day date not null,
  status text not null,
  load_id text,
  reasons jsonb not null,
  decided_at timestamptz not null default now()
);
create index if not exists verdict_log_by_day on governance.verdict_log (day, entry_id);

-- The catalogue's figures of each published version. Rows of single sessions are pruned after two versions; what was
-- reported of them stays here, as sums that may be added over days.
create table if not exists governance.figures (
  publication_id bigint not null references governance.publications (publication_id),
  metric text not null,
  metric_version integer not null,
  numerator numeric not null,
  denominator numeric not null,
  primary key (publication_id, metric)
);

-- A day that was published again with other content: why, and who reads it.
create table if not exists governance.restatements (
  restatement_id bigint generated always as identity primary key,
  day date not null,
  old_version integer not null,
  new_version integer not null,
  old_certificate_id text not null references governance.certificates (certificate_id),
  new_certificate_id text not null references governance.certificates (certificate_id),
  reasons jsonb not null,
  marts text[] not null,
  views text[] not null,
  exposures text[] not null,
  restated_at timestamptz not null default now()
);
create index if not exists restatements_by_day on governance.restatements (day);
comment on column governance.restatements.reasons is 'list of kind and text, from comparing the two certificates';
comment on column governance.restatements.marts is 'whose rows differ in more than the name of their load';

-- What a reader may see of the ledgers: no names of files (somebody may have put a number into one), no samples of
-- offending values, no names of runs.
create or replace view certified.publications as
select mart, day, version, load_id, certificate_id, row_count, content_sha256, is_live, is_pruned, published_at
from governance.publications;
comment on view certified.publications is
'Grain: one row per mart, day and published version. content_sha256 is what voiceai verify computes again.';

create or replace view certified.loads as
select
  dataset, day, load_id, is_live, rows_in, rows_loaded, rows_quarantined, rows_duplicate, lake_sha256, loaded_at
from governance.loads
where dataset <> 'marts';
comment on view certified.loads is
'Grain: one row per dataset, day and content. rows_in = rows_loaded + rows_quarantined + rows_duplicate.';

create or replace view certified.load_files as
select
  dataset,
  day,
  load_id,
  split_part(file, '/', 1) as source,
  sha256,
  size_bytes,
  rows_in,
  rows_loaded,
  rows_quarantined,
  rows_duplicate,
  is_truncated
from governance.load_files;
comment on view certified.load_files is
'Grain: one row per file of a live load, named by its sha256; voiceai trace says where it lies.';

create or replace view certified.check_results as
select
  asset,
  check_name,
  day,
  load_id,
  suite_version,
  status,
  severity,
  description,
  case when jsonb_typeof(observed -> 'element_count') = 'number'
    then (observed ->> 'element_count')::numeric
  end as element_count,
  case when jsonb_typeof(observed -> 'unexpected_count') = 'number'
    then (observed ->> 'unexpected_count')::numeric
  end as unexpected_count,
  case when jsonb_typeof(observed -> 'observed_value') = 'number'
    then (observed ->> 'observed_value')::numeric
  end as observed_value,
  checked_at
from governance.quality_results;
comment on view certified.check_results is
'Grain: one row per rule, day and load, with counts but without offending values.';

create or replace view certified.certificates as
select
  certificate_id,
  day,
  previous_id,
  chain_sha256,
  issued_at,
  redacted_at,
  body::jsonb ->> 'status' as status,
  body::jsonb -> 'code' as code,
  body::jsonb -> 'definitions' as definitions
from governance.certificates;
comment on view certified.certificates is
'Grain: one row per certificate. certificate_id is the sha256 of its body, chain_sha256 ties it to all before it.';

create or replace view certified.restatements as
select
  restatement_id, day, old_version, new_version, old_certificate_id, new_certificate_id,
  (select string_agg(reason ->> 'text', '; ') from jsonb_array_elements(reasons) as reason) as reason,
  reasons, marts, views, exposures, restated_at
from governance.restatements;
comment on view certified.restatements is
'Grain: one row per day that was published again with other content: why, which marts differ, who reads them.';

create or replace view certified.figure_history as
select
  p.day,
  f.metric,
  f.metric_version,
  p.mart,
  p.version,
  f.numerator,
  f.denominator,
  f.numerator / nullif(f.denominator, 0) as value,
  lag(f.numerator / nullif(f.denominator, 0)) over each_day as previous_value,
  p.version = min(p.version) over (partition by f.metric, p.day) as is_first,
  p.is_live,
  p.certificate_id,
  p.published_at
from governance.figures f
inner join governance.publications p on f.publication_id = p.publication_id
window each_day as (partition by f.metric, p.day order by p.version);
comment on view certified.figure_history is
'Grain: one row per metric, day and published version. As first reported: is_first; as restated: is_live. A figure of '
'several days is the sum of numerators over the sum of denominators.';
