"""What is kept of a region outside it: positions of groups, records at them, the history of offset syncs."""
