"""Procedures: ordered lists of steps, and the plan that is shown before one is run."""
