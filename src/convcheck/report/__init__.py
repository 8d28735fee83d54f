"""Reports: what a run found, for a person and for a program."""
