"""A world with known truth: what happened, what was said of it and when, and who says it."""
