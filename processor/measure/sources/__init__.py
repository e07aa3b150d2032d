"""What gives a source of feedback away, one file per test."""
