"""The customers in the admin: tags, budgets, and the pots that several draw on."""

from tags.admin import budgets, tags

__all__ = ["budgets", "tags"]
