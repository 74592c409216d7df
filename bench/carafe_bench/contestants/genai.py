"""openvino-genai on the same weights: its pipeline for one text with either attention, and its continuous batching."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from carafe_bench import conversation
from carafe_bench.arrivals import Arrival, arrivals, earlier
from carafe_bench.contestant import Settings, Task
from carafe_bench.prompts import Words

CACHE_GIB = 4
LARGEST_BATCH = 64
LARGEST_STEP = 2048  # tokens of one step: none of the prompts here waits for a second one


def _greedy(count: int) -> genai.GenerationConfig:
    config = genai.GenerationConfig()
    config.max_new_tokens, config.ignore_eos, config.do_sample = count, True, False
    return config


def _tensor(tokens: list[int]) -> ov.Tensor:
    return ov.Tensor(np.array([tokens], np.int64))


class _Times(genai.StreamerBase):
    """Notes when tokens come."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.times = time.perf_counter(), []

    def write(self, tokens: int | list[int]) -> genai.StreamingStatus:
        came = time.perf_counter() - self.began
        self.times += [came] * (len(tokens) if isinstance(tokens, list) else 1)
        return genai.StreamingStatus.RUNNING

    def end(self) -> None:
        pass


def _scheduler(has_prefix_cache: bool = False) -> genai.SchedulerConfig:
    """Return a scheduler with room for the largest batch that reads every prompt itself."""
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size, scheduler.max_num_seqs = CACHE_GIB, LARGEST_BATCH
    scheduler.max_num_batched_tokens, scheduler.dynamic_split_fuse = LARGEST_STEP, True
    scheduler.enable_prefix_caching = has_prefix_cache
    return scheduler


class _Pipeline:
    """LLMPipeline, one text at a time."""

    attention = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self) -> None:
        properties = {"ATTENTION_BACKEND": self.attention, "INFERENCE_NUM_THREADS": self.settings.threads, **self.options()}
        self.pipeline = genai.LLMPipeline(self.settings.genai, "CPU", **properties)
        self.words = Words(Path(self.settings.model) / "tokenizer.json")
        self._generate(self.words.prompt(8), 2)

    def options(self) -> dict[str, Any]:
        return {}

    def run(self, task: Task) -> dict[str, Any]:
        prompt = self.words.prompt(task.prompt_tokens, task.seed)
        times = self._generate(prompt, task.new_tokens)
        return {"requests": [{"prompt_tokens": len(prompt), "sent": 0.0, "tokens": times}]}

    def stop(self) -> None:
        del self.pipeline

    def _generate(self, prompt: list[int], count: int) -> list[float]:
        ids = _tensor(prompt)
        times = _Times()
        self.pipeline.generate(genai.TokenizedInputs(ids, ov.Tensor(np.ones_like(ids.data))), _greedy(count), times)
        return times.times


class Sdpa(_Pipeline):
    """With the attention of the graph."""

    attention = "SDPA"


class PagedAttention(_Pipeline):
    """With paged attention."""

    attention = "PA"

    def options(self) -> dict[str, Any]:
        """Return the scheduler that paged attention has."""
        return {"scheduler_config": _scheduler()}


class Continuous:
    """ContinuousBatchingPipeline: requests are added at any time, `step` serves all."""

    has_prefix_cache = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self) -> None:
        """Load the pipeline with room for the largest batch, and compute once."""
        properties = {"INFERENCE_NUM_THREADS": self.settings.threads}
        scheduler = _scheduler(self.has_prefix_cache)
        self.pipeline = genai.ContinuousBatchingPipeline(self.settings.genai, scheduler, "CPU", properties)
        self.words = Words(Path(self.settings.model) / "tokenizer.json")
        self.next_id = 0
        self.run(Task("generate", prompt_tokens=8, new_tokens=2))

    def run(self, task: Task) -> dict[str, Any]:
        """Run a conversation, or requests as they arrive."""
        if task.kind == "second-turn":
            return {"figures": conversation.figures(conversation.ask_in_process(task, self.words, self._complete))}
        prompt = earlier(task, self.words)
        if prompt is not None:
            self._complete(prompt, 1)
        return {"requests": self._serve(arrivals(task, self.words))}

    def stop(self) -> None:
        """Free the pipeline."""
        del self.pipeline

    def _serve(self, waiting: list[Arrival]) -> list[dict[str, Any]]:
        """Add requests as they arrive and step until all have ended."""
        began, running, requests = time.perf_counter(), [], []
        while waiting or running:
            now = time.perf_counter() - began
            while waiting and waiting[0].at <= now:
                arrival = waiting.pop(0)
                entry = {"prompt_tokens": len(arrival.prompt), "sent": arrival.at, "tokens": []}
                running.append((self._add(arrival.prompt, arrival.new_tokens), entry))
                requests.append(entry)
            if not running:
                time.sleep(waiting[0].at - now)
                continue
            self.pipeline.step()
            running = [pair for pair in running if _read(*pair, began)]
        return requests

    def _complete(self, prompt: list[int], count: int) -> tuple[list[float], list[int]]:
        """Answer one prompt: when its tokens came, and which they are."""
        handle, times, answer = self._add(prompt, count), [], []
        while len(answer) < count:
            self.pipeline.step()
            new = _new_tokens(handle)
            times += [time.perf_counter()] * len(new)
            answer += new
        return times, answer

    def _add(self, prompt: list[int], count: int) -> Any:
        self.next_id += 1
        return self.pipeline.add_request(self.next_id, _tensor(prompt), _greedy(count))


class ContinuousPrefixCache(Continuous):
    """The same with its prefix cache."""

    has_prefix_cache = True


def _read(handle: Any, entry: dict[str, Any], began: float) -> bool:
    """Note the tokens that a request has got; whether it goes on."""
    entry["tokens"] += [time.perf_counter() - began] * len(_new_tokens(handle))
    return handle.get_status() == genai.GenerationStatus.RUNNING


def _new_tokens(handle: Any) -> list[int]:
    """Return the tokens of a request that have not been read."""
    tokens = []
    while handle.can_read():
        tokens += [token for output in handle.read().values() for token in output.generated_ids]
    return tokens
