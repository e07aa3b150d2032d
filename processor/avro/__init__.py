"""Avro: the contracts, the framings in the wild, writer schemas, and strict decoding."""
