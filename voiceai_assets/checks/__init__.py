"""Judgement: suites, their evaluation by Great Expectations, and the gate that decides what may be published."""
