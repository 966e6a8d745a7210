"""drkit moves an Apache Kafka service from one region to another and back, and proves what that cost."""

__version__ = "0.1.0"
