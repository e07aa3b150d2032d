"""The rules of each event type, one file each."""
