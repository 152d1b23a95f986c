-- People who were forgotten. A mark is a keyed hash of a pseudonym or a session id: it recognises a record that comes
-- again, and says nothing to whoever does not hold the key.
create table if not exists governance.erased (
  kind text not null check (kind in ('person', 'session')),
  mark text not null,
  erased_on date not null default current_date,
  primary key (kind, mark)
);
comment on table governance.erased is 'records that bear one of these marks are refused when they come again';

-- What was done, without whom it was done for. Days of an erasure that was interrupted are run by the next one.
create table if not exists governance.erasures (
  erasure_id bigint generated always as identity primary key,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  days date[] not null,
  removed jsonb not null,
  residue jsonb,
  is_clean boolean
);
comment on column governance.erasures.days is 'days that were run again';
comment on column governance.erasures.removed is 'dataset -> records removed from landing and lake';
comment on column governance.erasures.residue is 'what the search found afterwards: place -> number of finds';

-- Records of the forgotten are quarantined, so that the account adds up, but they are no fault of the emitter.
alter table governance.load_files add column if not exists rows_erased bigint not null default 0;
comment on column governance.load_files.rows_erased is 'among rows_quarantined: records of somebody who was forgotten';
create index if not exists load_files_with_erasures on governance.load_files (day) where rows_erased > 0;

-- A certificate keeps its name and its place in the chain; whose body had to change no longer has that sha256.
alter table governance.certificates add column if not exists redacted_at timestamptz;
comment on column governance.certificates.redacted_at is 'when an identifier was taken out of the body (voiceai erase)';

alter table governance.loads add column if not exists texts_dropped_at timestamptz;
comment on column governance.loads.texts_dropped_at is 'when retention took the free text out of lake and raw';
