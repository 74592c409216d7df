"""llama.cpp in process: one context, its parallel batch decoding, greedy, with nothing of llama-cpp-python's own loop.

This is the tuned way: prompts are read in whole batches, every running sequence gets a token in one `llama_decode`, logits are
made only where a token is chosen, flash attention is on, and all sequences share one cache: where this was written, 16 of them
were three times as fast as with a cache for each, which is llama.cpp's default. The file is memory-mapped; llama.cpp repacks
weights at loading where it has faster kernels for that.
"""

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np

from carafe_bench import conversation
from carafe_bench.arrivals import Arrival, arrivals, earlier
from carafe_bench.contestant import MissingError, Settings, Task
from carafe_bench.prompts import Words

CONTEXT = 1024
SEQUENCES = 64
BATCH = 2048  # tokens of one decode
PIECE = 512  # tokens that are computed at once within it, llama.cpp's own default


@dataclass
class _Sequence:
    """A request that has a place in the cache."""

    place: int
    wanted: int
    unread: list[int]  # of the prompt, or the token chosen last
    entry: dict[str, Any]
    position: int = 0
    row: int = -1  # of the batch, the one whose logits choose the next token


class LlamaCpp:
    """One model and one context."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self) -> None:
        """Load the model, make the context with room for all sequences, and compute once."""
        if not self.settings.gguf:
            raise MissingError("llama.cpp reads a GGUF file, which is made from a model's source; give `--source`")
        llama.llama_backend_init()
        self.quiet = llama.llama_log_callback(lambda *_: None)
        llama.llama_log_set(self.quiet, ctypes.c_void_p(0))
        self.model = llama.llama_model_load_from_file(self.settings.gguf.encode(), llama.llama_model_default_params())
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(BATCH, 0, 1)
        self.context, self.room = None, 0
        self.words = Words(Path(self.settings.model) / "tokenizer.json")
        self.run(Task("generate", prompt_tokens=8, new_tokens=2))

    def run(self, task: Task) -> dict[str, Any]:
        """Run a conversation, or requests as they arrive."""
        self._make_room(SEQUENCES if task.kind == "mixed" else task.concurrent)
        if task.kind == "second-turn":
            return {"figures": self._converse(task)}
        return {"requests": self._serve(arrivals(task, self.words), earlier(task, self.words) or [])}

    def stop(self) -> None:
        """Free all."""
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)

    def _serve(self, waiting: list[Arrival], kept: list[int]) -> list[dict[str, Any]]:
        """Decode for every sequence that runs, one batch after the other; newcomers join when they arrive.

        A prompt that is kept is computed first, and what others begin with alike is taken from it, as in llama.cpp's own server.
        """
        places = list(range(self.room))
        keeper = places.pop() if kept else None
        if kept:
            self._decode([_Sequence(keeper, 0, list(kept), {})])
        began, running, entries = time.perf_counter(), [], []
        while waiting or running:
            now = time.perf_counter() - began
            while waiting and waiting[0].at <= now and places:
                running.append(_sequence(waiting.pop(0), places.pop()))
                entries.append(running[-1].entry)
                self._begin_like(running[-1], kept, keeper)
            if not running:
                time.sleep(max(0.0, waiting[0].at - now))
                continue
            self._decode(running)
            self._choose(running, began)
            for sequence in [sequence for sequence in running if sequence.wanted == 0]:
                running.remove(sequence)
                places.append(sequence.place)
                llama.llama_memory_seq_rm(self.memory, sequence.place, -1, -1)
        if kept:
            llama.llama_memory_seq_rm(self.memory, keeper, -1, -1)
        return entries

    def _begin_like(self, sequence: _Sequence, kept: list[int], keeper: int | None) -> None:
        """Let a new sequence begin with what it shares with the kept prompt; its last token is computed in any case."""
        position = min(_common(kept, sequence.unread), len(sequence.unread) - 1)
        if position > 0:
            llama.llama_memory_seq_cp(self.memory, keeper, sequence.place, 0, position)
            sequence.position = position
            del sequence.unread[:position]

    def _converse(self, task: Task) -> conversation.Figures:
        """Answer prompts in one sequence; what two of them begin with stays in the cache, as in llama.cpp's own server."""
        kept: list[int] = []

        def complete(prompt: list[int], count: int) -> tuple[list[float], list[int]]:
            # the last token of a prompt is computed in any case: its logits are needed
            position = min(_common(kept, prompt), len(prompt) - 1)
            llama.llama_memory_seq_rm(self.memory, 0, position, -1)
            entry = {"prompt_tokens": len(prompt), "sent": 0.0, "tokens": []}
            sequence, answer = _Sequence(0, count, prompt[position:], entry, position), []
            while sequence.wanted:
                self._decode([sequence])
                self._choose([sequence], 0.0)
                answer += sequence.unread
            # the last token of an answer was chosen and not computed
            kept[:] = [*prompt, *answer[:-1]]
            return entry["tokens"], answer

        turns = conversation.ask_in_process(task, self.words, complete)
        llama.llama_memory_seq_rm(self.memory, 0, -1, -1)
        return conversation.figures(turns)

    def _make_room(self, sequences: int) -> None:
        """Make a context for so many sequences; the one that is there is kept if it is of that size."""
        if self.room == sequences:
            return
        if self.context is not None:
            llama.llama_free(self.context)
        options = llama.llama_context_default_params()
        options.n_ctx, options.n_seq_max = CONTEXT * sequences, sequences
        options.n_batch, options.n_ubatch = BATCH, PIECE
        options.n_threads = options.n_threads_batch = self.settings.threads
        options.flash_attn_type, options.kv_unified = 1, True
        self.context, self.room = llama.llama_init_from_model(self.model, options), sequences
        if not self.context:
            raise RuntimeError("llama.cpp could not make a context")
        self.memory = llama.llama_get_memory(self.context)

    def _decode(self, running: list[_Sequence]) -> None:
        """Let the model read what every sequence has unread, as much as a batch holds."""
        batch, rows = self.batch, 0
        for sequence in sorted(running, key=lambda sequence: len(sequence.unread)):
            tokens = sequence.unread[: BATCH - rows]
            for token in tokens:
                batch.token[rows], batch.pos[rows] = token, sequence.position
                batch.n_seq_id[rows], batch.seq_id[rows][0] = 1, sequence.place
                batch.logits[rows] = 0
                sequence.position, rows = sequence.position + 1, rows + 1
            del sequence.unread[: len(tokens)]
            sequence.row = -1
            if tokens and not sequence.unread:
                sequence.row = rows - 1
                batch.logits[rows - 1] = 1
        batch.n_tokens = rows
        if llama.llama_decode(self.context, batch) != 0:
            raise RuntimeError(f"llama_decode failed over {rows} tokens")

    def _choose(self, running: list[_Sequence], began: float) -> None:
        for sequence in running:
            if sequence.row < 0:
                continue
            logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(self.context, sequence.row), (self.vocabulary,))
            sequence.unread = [int(logits.argmax())]
            sequence.entry["tokens"].append(time.perf_counter() - began)
            sequence.wanted -= 1


def _common(left: list[int], right: list[int]) -> int:
    """Return how many tokens two lists begin with alike."""
    pairs = zip(left, right, strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))


def _sequence(arrival: Arrival, place: int) -> _Sequence:
    entry = {"prompt_tokens": len(arrival.prompt), "sent": arrival.at, "tokens": []}
    return _Sequence(place, arrival.new_tokens, list(arrival.prompt), entry)
