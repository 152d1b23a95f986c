"""Scores over HTTP: what has been said so far comes in, the chance that the caller gives up goes out."""
