"""From answers to outcomes: what is known of each inference, and since which batch."""
