-- Schemas in the order in which data flows through them. Everything belongs to the pipeline's role.
create schema if not exists raw;
create schema if not exists staging;
create schema if not exists intermediate;
create schema if not exists marts;
create schema if not exists published;
create schema if not exists certified;
create schema if not exists governance;

comment on schema raw is 'typed turns as loaded from the lake, one partition per day';
comment on schema staging is 'dbt: renamed and typed, one view per raw table';
comment on schema intermediate is 'dbt: shared steps between staging and marts';
comment on schema marts is 'dbt: marts before judgement';
comment on schema published is 'certified marts, one version per day and publication, append-only';
comment on schema certified is 'views over the live versions: all that bi_reader may read';
comment on schema governance is 'ledgers: files, loads, checks, certificates, publications';

-- The boundary: a reader sees certified and nothing else, now and for tables still to come.
revoke all on schema raw, staging, intermediate, marts, published, governance from bi_reader;
grant usage on schema certified to bi_reader;
alter default privileges in schema certified grant select on tables to bi_reader;
