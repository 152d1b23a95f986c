"""The dashboards: Dash pages that read schema ``certified`` and nothing else, as ``bi_reader``."""
