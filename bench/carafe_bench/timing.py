"""What is made of the times at which tokens came: the one definition of every figure about text, for all contestants.

Goes in: for each request of a run when it was sent and when each of its tokens came, in seconds. Comes out: figures by name.
Rates are over *windows in which every request of the run is generating*, so that reading prompts does not blur them; where
requests ran one after the other there is no such window, and the rate is that of the whole run.
"""

from dataclasses import dataclass
from typing import Any

from carafe_bench.statistics import quantile

Figures = dict[str, float]


@dataclass(frozen=True)
class RequestTimes:
    """One request: the length of its prompt, when it was sent, and when its tokens came."""

    prompt_tokens: int
    sent: float
    tokens: list[float]

    @property
    def time_to_first_token(self) -> float:
        """Seconds from sending to the first token."""
        return self.tokens[0] - self.sent

    @property
    def time_per_token(self) -> float:
        """Mean seconds of a token after the first."""
        return (self.tokens[-1] - self.tokens[0]) / (len(self.tokens) - 1)


def from_json(run: dict[str, Any]) -> list[RequestTimes]:
    """Read the `requests` of a run's answer."""
    return [RequestTimes(entry["prompt_tokens"], entry["sent"], entry["tokens"]) for entry in run["requests"]]


def figures(requests: list[RequestTimes]) -> Figures:
    """Return every figure that the times of one run give."""
    first = [request.time_to_first_token for request in requests]
    per_token = [request.time_per_token for request in requests if len(request.tokens) > 1]
    gaps = [later - earlier for request in requests for earlier, later in zip(request.tokens, request.tokens[1:], strict=False)]
    prompt = sum(request.prompt_tokens for request in requests)
    result = {
        "tokens_per_second": whole_rate(requests),
        "prompt_tokens_per_second": prompt / sum(first) if len(requests) == 1 else prompt / (_end_of_prompts(requests)),
        "ttft_p50_ms": 1e3 * quantile(first, 0.5),
        "ttft_p99_ms": 1e3 * quantile(first, 0.99),
    }
    if per_token:
        result["decode_tokens_per_second"] = window_rate(requests) or whole_rate(requests)
        result["per_token_p50_ms"] = 1e3 * quantile(per_token, 0.5)
        result["per_token_p99_ms"] = 1e3 * quantile(per_token, 0.99)
        result["gap_p99_ms"] = 1e3 * quantile(gaps, 0.99)
        result["gap_max_ms"] = 1e3 * max(gaps)
    return result


def whole_rate(requests: list[RequestTimes]) -> float:
    """Tokens a second from the first sending to the last token."""
    began = min(request.sent for request in requests)
    ended = max(request.tokens[-1] for request in requests)
    return sum(len(request.tokens) for request in requests) / (ended - began)


def window_rate(requests: list[RequestTimes]) -> float | None:
    """Tokens a second while every request is generating; nothing if there is no such time, or hardly any."""
    began = max(request.tokens[0] for request in requests)
    ended = min(request.tokens[-1] for request in requests)
    inside = [sum(1 for token in request.tokens if began < token <= ended) for request in requests]
    # with less than half of the tokens inside, the window says little about the run
    total = sum(len(request.tokens) - 1 for request in requests)
    if ended <= began or 2 * sum(inside) < total:
        return None
    return sum(inside) / (ended - began)


def _end_of_prompts(requests: list[RequestTimes]) -> float:
    return max(request.tokens[0] for request in requests) - min(request.sent for request in requests)
