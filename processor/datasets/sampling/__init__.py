"""Sampling policies, one file each."""
