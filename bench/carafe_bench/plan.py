"""What is measured: the scenarios, each a few tasks that every contestant of it runs in every round."""

from dataclasses import dataclass, field
from pathlib import Path

from carafe_bench.contestant import Task
from carafe_bench.tenants import FLOODING, MODEST

WIDTHS = (1, 2, 4, 8, 16, 32)
CONTEXTS = (32, 128, 256, 512, 768, 984)
DRAFTS = 3  # tokens guessed ahead at most, where speculation is on
FULL_SIZE_DRAFTS = 7  # where a wide step costs little more than a narrow one
# Where prompts of several tasks are equally long, their seeds are apart, so that no prefix cache finds one task's prompts in
# another's. Each task has a hundred of them at most, and all are below the thousand by which rounds are apart.
AGGREGATE_SEEDS = range(100, 700, 100)
WIDTH_SEEDS = range(700, 900, 100)
LONG_TEXTS_SEEDS = range(900, 930, 10)
CONTEXT_SEED = 950
AT_A_TIME, FLOOD = 4, 32  # requests of a modest tenant, and of one that floods
MIXED = {"prompt_range": (16, 512), "new_range": (16, 256)}

CODE = """def area(width, height):
    return width * height

def volume(width, height, depth):
    return area(width, height) * depth

def surface(width, height, depth):
    return 2 * (area(width, height) + area(width, depth) + area(height, depth))

def half_area(width, height):
    return"""
REPEATED = "The cat sat on the mat. The dog sat on the mat. " * 6 + "The cat"


@dataclass(frozen=True)
class Scenario:
    """Tasks that belong together."""

    name: str
    title: str
    figure: str  # the one that is compared first
    tasks: dict[str, Task]
    rounds: int
    higher_is_better: bool = True
    seconds: float = 120  # that one task may take
    is_cold: bool = False  # contestants are not loaded when it begins
    slow: dict[str, tuple[str, ...]] = field(default_factory=dict)  # contestant: the only tasks that it runs

    def tasks_of(self, contestant: str) -> dict[str, Task]:
        """Return the tasks that a contestant runs."""
        names = self.slow.get(contestant, tuple(self.tasks))
        return {name: task for name, task in self.tasks.items() if name in names}


def scenarios(quick: bool, tales: Path) -> list[Scenario]:
    """Return all scenarios, or shorter forms of them."""
    return [
        _decode(quick),
        _prefill(quick),
        _aggregate(quick),
        _mixed(quick),
        _mixed_chat(quick),
        _long_texts(quick),
        _second_turn(quick),
        _shared_prompt(quick),
        _fairness(quick),
        Scenario("start", "Start, files in the cache", "start_seconds", _one("start"), 2 if quick else 5, False, is_cold=True),
        Scenario(
            "start-cold", "Start, files not in the cache", "start_seconds", _one("start"), 1 if quick else 3, False, is_cold=True
        ),
        Scenario("memory", "Memory", "anonymous_mib", _one("memory"), 1, False, is_cold=True),
        _images(quick),
        _context(quick),
        _width(quick),
        _speculation(quick, tales),
        _sampling(quick),
    ]


def _one(kind: str) -> dict[str, Task]:
    return {kind: Task(kind, prompt_tokens=8, new_tokens=1) if kind == "start" else Task(kind, 32, 32)}


def _decode(quick: bool) -> Scenario:
    tasks = {"decode": Task("generate", 32, 48 if quick else 128)}
    return Scenario("decode", "Decode, one sequence", "decode_tokens_per_second", tasks, 3 if quick else 7)


def _prefill(quick: bool) -> Scenario:
    tasks = {str(length): Task("generate", length, 1) for length in (128, 512, 900)}
    return Scenario("prefill", "Prefill", "prompt_tokens_per_second", tasks, 3 if quick else 7)


def _aggregate(quick: bool) -> Scenario:
    widths = (1, 4, 16) if quick else WIDTHS
    new = 32 if quick else 64
    tasks = {str(width): Task("generate", 32, new, width, seed) for width, seed in zip(widths, AGGREGATE_SEEDS, strict=False)}
    # it works on one request at a time: three widths show that
    slow = {"llama-cpp-server": ("1", "4", "16")}
    title = "Aggregate decode, so many requests at once"
    return Scenario("aggregate", title, "decode_tokens_per_second", tasks, 2 if quick else 4, slow=slow)


def _mixed(quick: bool) -> Scenario:
    options = {**MIXED, "requests": 10 if quick else 30, "rate": 1.5}
    tasks = {"mixed": Task("mixed", seed=7, options=options)}
    return Scenario("mixed", "Mixed load", "ttft_p50_ms", tasks, 1 if quick else 2, False, seconds=300)


def _mixed_chat(quick: bool) -> Scenario:
    ranges = {"prompt_range": (16, 256), "new_range": (16, 128)}
    options = {**ranges, "shared_tokens": 300, "requests": 10 if quick else 30, "rate": 1.5}
    tasks = {"mixed-chat": Task("mixed", seed=7, options=options)}
    title = "Mixed chat load, one system prompt"
    return Scenario("mixed-chat", title, "ttft_p50_ms", tasks, 1 if quick else 3, False, seconds=300)


def _long_texts(quick: bool) -> Scenario:
    # 1,024 tokens of 128 bytes, GPT-2's longest, are the longest text that might fit: the first is tokenised, the second refused
    sizes = {"none": None, "of 131 kB": 131_000, "of 500 kB": 500_000}
    tasks = {
        name: Task("generate", 32, 64 if quick else 192, 4, seed, options={"background_text": size})
        for (name, size), seed in zip(sizes.items(), LONG_TEXTS_SEEDS, strict=True)
    }
    return Scenario("long-texts", "Long texts arriving beside others", "gap_p99_ms", tasks, 2 if quick else 4, False)


def _second_turn(quick: bool) -> Scenario:
    tasks = {"second-turn": Task("second-turn", 800, 32, options={"added_tokens": 32})}
    return Scenario("second-turn", "Second turn of a conversation", "second_ttft_ms", tasks, 2 if quick else 7, False)


def _shared_prompt(quick: bool) -> Scenario:
    tasks = {"shared-prompt": Task("generate", 32, 64, 16, options={"shared_tokens": 600})}
    return Scenario("shared-prompt", "One system prompt, 16 clients", "tokens_per_second", tasks, 1 if quick else 4, seconds=300)


def _fairness(quick: bool) -> Scenario:
    modest = dict.fromkeys(MODEST, AT_A_TIME)
    loads = {"three modest ones": modest, "and one that floods": modest | {FLOODING: FLOOD}}
    seconds = 20 if quick else 60
    tasks = {name: Task("tenants", 64, 64, options={"tenants": tenants, "seconds": seconds}) for name, tenants in loads.items()}
    return Scenario("fairness", "Tenants that share a server", "jain_index", tasks, 1 if quick else 3, seconds=300)


def _images(quick: bool) -> Scenario:
    count = 20 if quick else 60
    tasks = {str(width): Task("images", concurrent=width, options={"count": count}) for width in (1, 4)}
    return Scenario("images", "Images, 1280x960 JPEG", "images_per_second", tasks, 2 if quick else 7)


def _context(quick: bool) -> Scenario:
    lengths = CONTEXTS[::2] if quick else CONTEXTS
    tasks = {str(length): Task("generate", length, 12 if quick else 32, seed=CONTEXT_SEED) for length in lengths}
    return Scenario("context", "Context length", "decode_tokens_per_second", tasks, 1 if quick else 3)


def _width(quick: bool) -> Scenario:
    widths = (64,) if quick else (48, 64)
    tasks = {str(width): Task("generate", 32, 24, width, seed) for width, seed in zip(widths, WIDTH_SEEDS, strict=False)}
    return Scenario("width", "Batch width", "decode_tokens_per_second", tasks, 1 if quick else 3)


def _speculation(quick: bool, tales: Path) -> Scenario:
    kinds = {
        "tale": ("Once upon a time there was a little fox who lived", {}),
        "tale, sampled": ("Once upon a time there was a little fox who lived", {"--temperature": 0.8, "--top-p": 0.9}),
        "code-like": (CODE, {}),
        "repetitive": (REPEATED, {}),
    }
    tasks = {}
    for kind, (prompt, sampling) in kinds.items():
        for state, drafts in (("off", 0), ("on", DRAFTS)):
            options = {"model": str(tales), "prompt": prompt, "sampling": sampling, "draft_tokens": drafts}
            tasks[f"{kind}, {state}"] = Task("generate", 0, 96, seed=7, options=options)
    for state, drafts in (("off", 0), ("on", FULL_SIZE_DRAFTS)):
        tasks[f"full size, random weights, {state}"] = Task("generate", 32, 96, options={"draft_tokens": drafts})
    return Scenario("speculation", "Speculation off and on", "decode_tokens_per_second", tasks, 2 if quick else 5)


def _sampling(quick: bool) -> Scenario:
    kinds = {
        "greedy": {},
        # with random weights all tokens are nearly as probable: no filter has more to keep
        "flat": {"--temperature": 0.8, "--top-p": 0.9},
        # a low temperature makes random logits as uneven as those of a trained model
        "peaked": {"--temperature": 0.1, "--top-p": 0.9},
    }
    tasks = {
        f"{width}, {kind}": Task("generate", 32, 32, width, options={"sampling": sampling})
        for width in (1, 16)
        for kind, sampling in kinds.items()
    }
    return Scenario("sampling", "Sampling", "decode_tokens_per_second", tasks, 2 if quick else 5)
