"""``drkit.yaml``: its models, how it is read, and the rules across its fields."""
