"""A service at work: producers and consumer groups with a ledger of everything that was acknowledged and processed."""
