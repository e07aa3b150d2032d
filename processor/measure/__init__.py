"""Measurements: how good models are and whether their inputs moved, from counts alone."""
