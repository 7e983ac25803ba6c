"""Wires everything by dotted path; no app imports it."""
