"""Runs procedures: the step contract, the journal, the lease, and resuming after anything."""
