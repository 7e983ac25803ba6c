"""Model changes: what a body about a model says -> a deployment's columns, upstream and prices."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

from proxy.models import Deployment
from proxy.providers import PROVIDERS, Provider
from proxy.upstream_terms import UpstreamTerms, masked_secret

# The wire's name -> a column, and what null means there.
PARAM_COLUMNS: Mapping[str, tuple[str, Any]] = {
    "tags": ("tags", []),
    "weight": ("weight", 1),
    "order": ("order", 1),
    "timeout": ("timeout_seconds", None),
    "stream_timeout": ("stream_timeout_seconds", None),
    "max_retries": ("max_retries", None),
}
INFO_COLUMNS: Mapping[str, tuple[str, Any]] = {
    "mode": ("mode", "chat"),
    "base_model": ("base_model", ""),
    "aliases": ("aliases", []),
    "max_input_tokens": ("input_tokens_max", None),
    "max_output_tokens": ("output_tokens_max", None),
}
TERMS = (
    "fallbacks", "context_window_fallbacks", "connect_timeout", "chunk_timeout", "total_timeout",
    "cooldown_time", "supported_endpoints", "supports_stream_options", "tag_routing",
    "output_cap_field", "token_margin", "reasoning_tokens_max", "image_tokens_max",
)  # fmt: skip


def columns_of(asked: Mapping[str, Any], stored: Deployment | None = None) -> dict[str, Any]:
    """The columns that the body names. Raises ValidationError for a star that matches none."""
    params, described = asked.get("litellm_params", {}), asked.get("model_info", {})
    columns: dict[str, Any] = {}
    if "model_name" in asked:
        columns["model_name"] = asked["model_name"]
    if "model" in params:
        columns["upstream_model"] = params["model"][1]
    for members, known in ((params, PARAM_COLUMNS), (described, INFO_COLUMNS)):
        for name, (column, empty) in known.items():
            if name in members:
                columns[column] = empty if members[name] is None else members[name]
    terms = {name: described[name] for name in TERMS if name in described}
    terms |= described.get("abilities", {})
    if stored is None:
        terms = {name: value for name, value in terms.items() if value is not None}
    if terms:
        columns["terms"] = terms
    _refuse_lone_star(columns, stored)
    return columns


def prices_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The price fields of both objects."""
    params, described = asked.get("litellm_params", {}), asked.get("model_info", {})
    return {**params.get("prices", {}), **described.get("prices", {})}


def new_upstream(params: Mapping[str, Any]) -> UpstreamTerms:
    """Raises ValidationError for what is missing."""
    provider: Provider = params["model"][0]
    secret = params.get("api_key") or {}
    if "masked" in secret:
        raise _wrong("api_key", "is a masked text, not a secret")
    terms = UpstreamTerms(
        provider=provider.name,
        address=params.get("api_base") or provider.address,
        api_version=params.get("api_version") or "",
        **secret,
    )
    _refuse_incomplete(provider, terms.address, terms.api_version)
    return terms


def upstream_changes(params: Mapping[str, Any], stored: Deployment) -> dict[str, Any]:
    """What becomes different of a deployment's upstream. Raises ValidationError."""
    upstream = stored.upstream
    before = PROVIDERS[upstream.provider]
    provider: Provider = params["model"][0] if "model" in params else before
    changes: dict[str, Any] = {}
    if provider != before:
        changes["provider"] = provider.name
        if upstream.address == before.address:
            changes["address"] = provider.address
    if "api_base" in params:
        changes["address"] = params["api_base"] or provider.address
    if "api_version" in params:
        changes["api_version"] = params["api_version"] or ""
    if "api_key" in params:
        changes |= _secret_changes(params["api_key"], masked_secret(upstream))
    elif provider != before and masked_secret(upstream) is not None:
        raise _wrong("api_key", "must be sent again: one provider's secret is not another's")
    _refuse_incomplete(
        provider,
        changes.get("address", upstream.address),
        changes.get("api_version", upstream.api_version),
    )
    return changes


def _secret_changes(asked: Mapping[str, Any] | None, masked: str | None) -> Mapping[str, Any]:
    if asked is None:
        return {"secret": None, "secret_variable": ""}
    if "masked" not in asked:
        return asked
    if asked["masked"] != masked:
        raise _wrong("api_key", "is the masked text of another secret")
    return {}


def _refuse_incomplete(provider: Provider, address: str, api_version: str) -> None:
    if not address:
        raise _wrong("api_base", f"is needed for {provider.name}")
    if provider.needs_version and not api_version:
        raise _wrong("api_version", f"is needed for {provider.name}")


def _refuse_lone_star(columns: Mapping[str, Any], stored: Deployment | None) -> None:
    name = columns.get("model_name", stored.model_name if stored else "")
    upstream_model = columns.get("upstream_model", stored.upstream_model if stored else "")
    if upstream_model.endswith("*") and not name.endswith("*"):
        raise _wrong("model", "can end in * only if model_name does, for what stands behind it")


def _wrong(name: str, text: str) -> ValidationError:
    return ValidationError({"litellm_params": {name: text}})
