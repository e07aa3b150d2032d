"""Evaluation: a candidate against the baseline, on the same rows."""
