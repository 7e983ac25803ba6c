"""The customers in the admin: tags, budgets, pots that several draw on; and who may log in."""

from tags.admin import budgets, people, tags

__all__ = ["budgets", "people", "tags"]
