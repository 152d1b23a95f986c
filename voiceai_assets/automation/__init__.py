"""When things run. Decisions are pure functions in ``planning``; sensors and schedules only carry them out."""
