"""The dashboards: Dash pages that read schema ``certified`` as ``bi_reader`` and nothing else."""
