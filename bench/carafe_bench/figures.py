"""What figures are called, how many digits they have, and what the machine's limit is."""

from typing import Any

LABELS = {
    "decode_tokens_per_second": "tokens/s",
    "tokens_per_second": "tokens/s in all",
    "prompt_tokens_per_second": "prompt tokens/s",
    "ttft_p50_ms": "first token, p50 ms",
    "ttft_p99_ms": "first token, p99 ms",
    "per_token_p50_ms": "a token, p50 ms",
    "per_token_p99_ms": "a token, p99 ms",
    "gap_p99_ms": "gap, p99 ms",
    "gap_max_ms": "longest gap, ms",
    "background_texts": "texts answered",
    "second_ttft_ms": "second turn, first token, ms",
    "cold_ttft_ms": "nothing known, first token, ms",
    "second_to_cold": "second turn to nothing known",
    "cached_tokens": "tokens from the cache",
    "modest_1_tokens_per_second": "1st modest, tokens/s",
    "modest_2_tokens_per_second": "2nd modest, tokens/s",
    "modest_3_tokens_per_second": "3rd modest, tokens/s",
    "flooding_tokens_per_second": "the one that floods, tokens/s",
    "jain_index": "Jain's index",
    "modest_ttft_p50_ms": "modest ones' first token, p50 ms",
    "modest_ttft_p99_ms": "modest ones' first token, p99 ms",
    "refused": "answers 429",
    "start_seconds": "s",
    "anonymous_mib": "anonymous, MiB",
    "rss_mib": "RSS, MiB",
    "peak_rss_mib": "peak RSS, MiB",
    "guest_mib": "guest, MiB",
    "images_per_second": "images/s",
    "latency_p50_ms": "p50 ms",
    "latency_p99_ms": "p99 ms",
    "decode_ms": "decode, ms",
    "resize_ms": "resize, ms",
    "model_ms": "model, ms",
    "generator_share": "processors used by the load generator",
}
DIGITS = {
    "decode_tokens_per_second": 0,
    "tokens_per_second": 0,
    "prompt_tokens_per_second": 0,
    "background_texts": 0,
    "second_to_cold": 3,
    "cached_tokens": 0,
    "jain_index": 3,
    "refused": 0,
    "start_seconds": 2,
    "anonymous_mib": 0,
    "rss_mib": 0,
    "peak_rss_mib": 0,
    "tokens_per_step": 2,
    "generator_share": 3,
}


def bandwidth(session: dict[str, Any]) -> float:
    """Return the most bytes a second that memory gave in a session: what else ran may have lowered the other looks at it."""
    return max(session["bandwidth"])


def limit(session: dict[str, Any]) -> float:
    """Return how many tokens a second one sequence could get if reading the weights were all."""
    return bandwidth(session) / session["weight_bytes"]
