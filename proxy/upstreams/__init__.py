"""Providers: their dialects, and the wire to them."""
