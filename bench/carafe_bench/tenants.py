"""Tenants that share a server: what each gets, and how evenly.

Each is a closed loop (`bench/load/src/tenants.rs`): so many requests on their way at any time until the time is over. All start
at once, and what is on its way at the end is still answered; neither is counted, so that all are at work in what is. A request
that waits since the beginning for its first token counts as soon as it waits in the part of the run that counts.
"""

from typing import Any

from carafe_bench.statistics import quantile
from carafe_bench.timing import Figures

MODEST = ("modest_1", "modest_2", "modest_3")
FLOODING = "flooding"
STARTING = 0.25  # the share of the time that is left out, at its beginning


def figures(answer: dict[str, Any], names: list[str], seconds: float) -> Figures:
    """Return tokens a second of each tenant, how even they are, and the modest ones' times to the first token."""
    tenants, began = dict(zip(names, answer["tenants"], strict=True)), STARTING * seconds
    rates = {name: tokens_between(tenant, began, seconds) / (seconds - began) for name, tenant in tenants.items()}
    first = [wait for name in MODEST for wait in first_tokens(tenants[name], began, seconds)]
    # who is answered throughout that part, by a server that is busy with others, has waited for nothing in it
    waits = {f"modest_ttft_p{share}_ms": 1e3 * quantile(first, share / 100) for share in (50, 99) if first}
    return {
        "tokens_per_second": sum(rates.values()),
        "jain_index": jain_index(list(rates.values())),
        **waits,
        "refused": sum(tenant["refused"] for tenant in tenants.values()),
        "generator_share": answer["generator_processor_seconds"] / answer["wall_seconds"],
        **{f"{name}_tokens_per_second": rate for name, rate in rates.items()},
    }


def tokens_between(tenant: dict[str, Any], began: float, ended: float) -> int:
    """Return how many of a tenant's tokens came in a part of the run."""
    return sum(began < token <= ended for request in tenant["requests"] for token in request["tokens"])


def first_tokens(tenant: dict[str, Any], began: float, ended: float) -> list[float]:
    """Return the seconds until the first token of the requests that waited for it in a part of the run."""
    waited = [entry for entry in tenant["requests"] if began < entry["tokens"][0] and entry["sent"] <= ended]
    return [entry["tokens"][0] - entry["sent"] for entry in waited]


def jain_index(values: list[float]) -> float:
    """Return Jain's index of fairness, (sum of x)² / (n · sum of x²): 1 if all are equal, 1/n if one has everything."""
    if not any(values):
        raise ValueError("nobody got anything: no share is fairer than another")
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))
