"""``python -m voiceai_assets.cli``."""

from voiceai_assets.cli.app import main

main()
