"""The steps of drkit's procedures: one step per file."""
