"""File formats of datasets, one file each."""
