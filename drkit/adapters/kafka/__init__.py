"""Apache Kafka through confluent-kafka (librdkafka)."""
