"""Kafka Connect through its REST API."""
