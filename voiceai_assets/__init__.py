"""Voice AI Analytics: raw turn files to certified dashboards, as one tested Dagster asset graph."""

import gc

# A run makes half a million objects that live as long as its process (dbt's project, Great Expectations, the graph). At
# Python's own thresholds all of them are looked through ten times to find nothing: 1.5 s of the 11 s of a small day.
gc.set_threshold(50_000, 20, 20)
