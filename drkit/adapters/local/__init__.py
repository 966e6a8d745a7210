"""This machine: clock, files, health probes, hooks."""
