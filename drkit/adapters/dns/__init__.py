"""DNS as clients see it."""
