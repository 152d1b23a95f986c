-- One row per distinct content of a day; the live one is what the tables hold now.
create table if not exists governance.loads (
  dataset text not null,
  day date not null,
  load_id text not null,
  is_live boolean not null,
  code_version text not null,
  inputs jsonb not null,
  rows_in bigint not null,
  rows_loaded bigint not null,
  rows_quarantined bigint not null,
  rows_duplicate bigint not null,
  last_turn_at timestamptz,
  last_open_turn_at timestamptz,
  loaded_at timestamptz not null default now(),
  primary key (dataset, day, load_id),
  constraint every_row_is_accounted_for check (rows_in = rows_loaded + rows_quarantined + rows_duplicate)
);
create unique index if not exists loads_one_live_per_day on governance.loads (dataset, day) where is_live;

comment on column governance.loads.last_turn_at is 'last turn of the day';
comment on column governance.loads.last_open_turn_at is 'last turn of a session that declares no outcome on the day';

-- Pairs of days that share a session: what one of them holds decides rows that are filed under the other.
create table if not exists governance.session_bridges (
  day date not null,
  neighbour date not null,
  primary key (day, neighbour)
);

-- The account of a live load, file by file.
create table if not exists governance.load_files (
  dataset text not null,
  day date not null,
  load_id text not null,
  file text not null,
  sha256 text not null,
  size_bytes bigint not null,
  rows_in bigint not null,
  rows_loaded bigint not null,
  rows_quarantined bigint not null,
  rows_duplicate bigint not null,
  is_truncated boolean not null,
  primary key (dataset, day, file)
);

create table if not exists governance.quarantine (
  dataset text not null,
  day date not null,
  load_id text not null,
  file text not null,
  line bigint not null,
  reason text not null,
  message text not null,
  raw_text text
);

-- Verdicts of single expectations. The key is the promise that a stale pass never certifies new data.
create table if not exists governance.quality_results (
  asset text not null,
  check_name text not null,
  day date not null,
  load_id text not null,
  suite_version text not null,
  status text not null check (status in ('passed', 'failed', 'error')),
  severity text not null check (severity in ('critical', 'warning')),
  description text not null,
  observed jsonb,
  expected jsonb,
  sample jsonb,
  run_id text not null,
  checked_at timestamptz not null default now(),
  primary key (asset, check_name, day, load_id)
);

create table if not exists governance.certificates (
  certificate_id text primary key,
  day date not null,
  body text not null,
  previous_id text references governance.certificates (certificate_id),
  chain_sha256 text not null,
  issued_at timestamptz not null default now()
);

create table if not exists governance.publications (
  publication_id bigint generated always as identity primary key,
  mart text not null,
  day date not null,
  version integer not null,
  load_id text not null,
  certificate_id text not null references governance.certificates (certificate_id),
  row_count bigint not null,
  content_sha256 text not null,
  is_live boolean not null,
  is_pruned boolean not null default false,
  published_at timestamptz not null default now(),
  unique (mart, day, version)
);
create unique index if not exists publications_one_live_per_day on governance.publications (mart, day) where is_live;

-- The gate's last word on each day, kept for those who only read.
create table if not exists governance.verdicts (
  day date primary key,
  status text not null check (status in ('certified', 'certified with warnings', 'blocked', 'not judged')),
  reasons jsonb not null,
  load_id text,
  run_id text not null,
  decided_at timestamptz not null default now()
);
