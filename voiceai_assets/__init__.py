"""Voice AI Analytics: raw turn files to certified dashboards, as one tested Dagster asset graph."""
