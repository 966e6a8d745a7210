"""What implements the ports: Kafka, Kafka Connect, AWS, DNS, and this machine."""
