"""Whether to retrain: rules that judge facts, and the states that their verdicts go through."""
