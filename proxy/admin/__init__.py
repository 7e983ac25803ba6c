"""The shop in the admin: keys, upstreams, and the models on offer."""

from proxy.admin import deployments, keys, upstreams

__all__ = ["deployments", "keys", "upstreams"]
