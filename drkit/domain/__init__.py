"""The pure core: no I/O, no clock, no randomness. Decisions are values that carry their reasons."""
