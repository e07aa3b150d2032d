"""Kafka: offsets, reading ranges with Spark, and publishing."""
