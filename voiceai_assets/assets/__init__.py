"""The asset graph, one file per layer. Orchestration only: logic lives in plain modules that know no Dagster."""
