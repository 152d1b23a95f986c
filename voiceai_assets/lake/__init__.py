"""From landing to the lake: index of files, typed rows, Parquet by day. DuckDB and files; no Dagster, no PostgreSQL."""
