"""Predictive models: features, training, evaluation and a registry each. No Dagster."""
