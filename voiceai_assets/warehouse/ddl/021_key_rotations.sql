-- Under which key the pseudonyms of the tables are: the newest row. No row: under the first key, whatever it is.
create table if not exists governance.key_rotations (
  rotation_id bigint generated always as identity primary key,
  old_key_id text not null,
  new_key_id text not null unique,
  people bigint not null,
  changed jsonb not null,
  certificates jsonb not null,
  rotated_at timestamptz not null default now()
);
comment on table governance.key_rotations is 'voiceai rotate-key: all pseudonyms were carried over in the transaction of this row';
comment on column governance.key_rotations.changed is 'table -> rows that name somebody';
comment on column governance.key_rotations.certificates is
'certificate -> the one that took its place: the same evidence, other checksums of rows that name somebody';

alter table governance.loads add column if not exists key_id text;
comment on column governance.loads.key_id is 'key under which the pseudonyms of these rows are; null where nothing was made from people';
