"""Signals, one file each: how an event becomes a label, a number or a text."""
