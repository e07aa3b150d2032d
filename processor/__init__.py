"""Batch Feedback Processor."""
