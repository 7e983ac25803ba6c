"""Evidence that Tollgate is fast: `python -m tests.bench --help`."""
