"""The parts of the example's training program; none of them knows the batch processor."""
