"""Management paths: ordinary synchronous DRF."""
