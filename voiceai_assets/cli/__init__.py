"""The ``voiceai`` command line."""

from voiceai_assets.cli.app import main

__all__ = ["main"]
