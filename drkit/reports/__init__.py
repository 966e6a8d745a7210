"""Reports: what a run did and what it cost, from its journal alone."""
