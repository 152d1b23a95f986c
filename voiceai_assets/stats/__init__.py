"""Statistics: pure functions from sums to estimates with intervals. No SQL, no files, no clocks."""
