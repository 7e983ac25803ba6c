"""Call: what every bench asks for, again and again, and what it costs."""

from tests.bench.upstream import COMPLETION_TOKENS, PROMPT_TOKENS

MODEL = "bench"
CALL_TAGS = ("bench-team", "bench-project")
CALL: dict[str, object] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello"}],
    "metadata": {"tags": list(CALL_TAGS)},
}

INPUT_PICOS, OUTPUT_PICOS = 150_001, 600_000  # odd, so that a call's cost has to be rounded
CALL_COST_NANOS = -(-(PROMPT_TOKENS * INPUT_PICOS + COMPLETION_TOKENS * OUTPUT_PICOS) // 1000)
