"""What keeps personal data in landing: pseudonyms and redaction. Pure; no Dagster, no SQL server."""
