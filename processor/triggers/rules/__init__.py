"""Trigger rules, one file each."""
