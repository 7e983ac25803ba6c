"""Providers: whom a deployment may name, what dialect they speak, and where they are."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Provider:
    """`prices` are the providers whose prices count for its models, after its own."""

    name: str
    dialect: str = "openai"
    address: str = ""
    prices: tuple[str, ...] = ()
    needs_version: bool = False


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("openai", address="https://api.openai.com/v1"),
        Provider("azure", dialect="azure", prices=("openai",), needs_version=True),
        Provider("anthropic", dialect="anthropic", address="https://api.anthropic.com"),
        Provider("groq", address="https://api.groq.com/openai/v1"),
        Provider("mistral", address="https://api.mistral.ai/v1"),
        Provider("deepseek", address="https://api.deepseek.com"),
        Provider("openrouter", address="https://openrouter.ai/api/v1"),
        Provider("together_ai", address="https://api.together.xyz/v1"),
        Provider("fireworks_ai", address="https://api.fireworks.ai/inference/v1"),
        Provider("xai", address="https://api.x.ai/v1"),
        Provider("gemini", address="https://generativelanguage.googleapis.com/v1beta/openai"),
        Provider("ollama", address="http://localhost:11434/v1"),
        Provider("hosted_vllm"),
    )
}
DEFAULT_PROVIDER = "openai"


class UnsupportedProvider(ValueError):
    """The prefix of a model names no provider here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The provider '{name}' is not supported.")


def split_model(text: str) -> tuple[Provider, str]:
    """`groq/llama-3` -> its provider and `llama-3`. Raises UnsupportedProvider.

    Without a prefix it is OpenAI's form; what follows the first slash may hold more of them.
    """
    prefix, slash, model = text.partition("/")
    if not slash:
        return PROVIDERS[DEFAULT_PROVIDER], text
    if prefix not in PROVIDERS:
        raise UnsupportedProvider(prefix)
    return PROVIDERS[prefix], model


def price_providers(name: str) -> tuple[str, ...]:
    """Under which providers' names a price for one's model may stand, the best one first."""
    provider = PROVIDERS.get(name)
    return (name, *provider.prices) if provider else (name,)


def asks_for_secret(name: str, address: str) -> bool:
    """Whether this is the provider's own host on the Internet, which serves nobody without one."""
    provider = PROVIDERS.get(name)
    hosted = urlsplit(provider.address) if provider else urlsplit("")
    return hosted.scheme == "https" and urlsplit(address).hostname == hosted.hostname
