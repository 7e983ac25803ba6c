"""The rates of a price as lines of text."""

from spend.rate_lines import rate_lines


def test_it_works():
    rates = {"input": 2_500_000, "cached_input": 75_000, "requests": 10_000_000_000}

    assert rate_lines(rates) == [
        ("input", "$2.50 per 1M tokens"),
        ("cached input", "$0.075 per 1M tokens"),
        ("requests", "$0.01 per request"),
    ]


def test_it_names_long_context_and_service_tiers():
    rates = {
        "input": 1_000_000,
        "above": {"200000": {"input": 2_000_000}},
        "priority": {"input": 3_000_000, "above": {"200000": {"input": 4_000_000}}},
    }

    assert rate_lines(rates) == [
        ("input", "$1.00 per 1M tokens"),
        ("input, above 200,000 input tokens", "$2.00 per 1M tokens"),
        ("input, priority", "$3.00 per 1M tokens"),
        ("input, priority, above 200,000 input tokens", "$4.00 per 1M tokens"),
    ]


def test_it_names_images_and_tools():
    rates = {
        "image_prices": {"1024x1024/high": 167_000_000_000},
        "tool_prices": {"web_search": 10_000_000_000},
    }

    assert rate_lines(rates) == [
        ("image 1024x1024/high", "$0.167 per image made"),
        ("tool web_search", "$0.01 per call"),
    ]
