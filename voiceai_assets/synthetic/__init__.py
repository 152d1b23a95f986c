"""Worlds made up by us, with a known truth: input for a first look and for tests. No Dagster, no SQL."""
