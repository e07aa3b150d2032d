"""Datasets: which outcomes become rows, with what probability, in which files."""
