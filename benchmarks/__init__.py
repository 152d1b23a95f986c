"""Measured ratios, all in one run: what a day costs beside the bare floor, beside history, beside start-up."""
