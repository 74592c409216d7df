"""The second turn of a conversation, and the same without the first: what a cache of prompts is good for.

A server is asked by the load generator (`bench/load/src/conversation.rs`, which says what is sent); who is measured in process
is asked here, in the same way. There an answer's tokens are at hand, so that none has to be made known by a bias.
"""

import time
from collections.abc import Callable
from typing import Any

from carafe_bench.contestant import Task
from carafe_bench.prompts import Words
from carafe_bench.timing import Figures

Complete = Callable[[list[int], int], tuple[list[float], list[int]]]
"""Answers a prompt with a number of tokens: when each came, in seconds of `time.perf_counter`, and which they are."""


def ask_in_process(task: Task, words: Words, complete: Complete) -> dict[str, Any]:
    """Run the three requests, one after the other; the times of each by its name."""
    added = words.prompt(task.options["added_tokens"], task.seed)
    first_prompt = words.prompt(task.prompt_tokens, task.seed)
    cold_prompt = words.prompt(task.prompt_tokens + task.new_tokens + len(added), task.seed)

    def turn(prompt: list[int]) -> tuple[dict[str, Any], list[int]]:
        sent = time.perf_counter()
        times, answer = complete(prompt, task.new_tokens)
        return {"prompt_tokens": len(prompt), "sent": sent, "tokens": times}, answer

    cold, _ = turn(cold_prompt)
    first, answer = turn(first_prompt)
    second, _ = turn([*first_prompt, *answer, *added])
    return {"cold": cold, "first": first, "second": second}


def figures(turns: dict[str, Any]) -> Figures:
    """Return the time to the first token of the second turn and of a prompt of the same length that continues nothing."""
    cold, second = (_first_token(turns[name]) for name in ("cold", "second"))
    result = {"second_ttft_ms": 1e3 * second, "cold_ttft_ms": 1e3 * cold, "second_to_cold": second / cold}
    if "cached_tokens" in turns["second"]:
        result["cached_tokens"] = turns["second"]["cached_tokens"]
    return result


def _first_token(turn: dict[str, Any]) -> float:
    return turn["tokens"][0] - turn["sent"]
