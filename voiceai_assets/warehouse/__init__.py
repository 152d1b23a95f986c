"""PostgreSQL: the server, its schema, its ledgers, loading and publication. No Dagster here."""
