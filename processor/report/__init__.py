"""What people read of a batch: one document of plain rows, as JSON and as one page."""
