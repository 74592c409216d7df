"""A running `carafe serve` on a port of its own, what holds its permits, and OpenAI's client to talk to it."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import openai

ROOT = Path(__file__).resolve().parents[3]
BINARY = ROOT / "target/release/carafe"
#: Bounds that only a server that hangs exceeds: no test may depend on how fast the machine is.
READY_WITHIN = 600.0
ENDS_WITHIN = 600.0
ANSWERS_WITHIN = 600.0
PAUSE = 0.05
#: Minutes of work in one request, which outlasts whatever a test does meanwhile: 63 x 16 sequences
#: of 250 tokens. A server with `--queue 1008` has no permit left while it runs.
ENDLESS_SEQUENCES = 63 * 16
ENDLESS = {"model": "tales", "prompt": ["Once upon a time"] * 63, "n": 16, "max_tokens": 250}


#: Writes each message behind the first letter of its role.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message.role[0] }}:{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)
#: Begins every answer with the mark of its reasoning.
THINKING_TEMPLATE = PLAIN_TEMPLATE.replace("a:{%", "a:<think>\n{%") + "{# </think> #}"


def chat_models(place: Path, template: str = PLAIN_TEMPLATE, model: Path = ROOT / "fixtures/models/tiny") -> Path:
    """Makes a folder of models: `tiny-chat`, or that of another model, is the model's files and a chat template."""
    folder = place / f"{model.name}-chat"
    shutil.copytree(model, folder)
    source = template.encode()
    (folder / "chat_template.jinja").write_bytes(source)
    entry = f'path = "chat_template.jinja", size = {len(source)}, sha256 = "{hashlib.sha256(source).hexdigest()}"'
    manifest = (folder / "model.toml").read_text().replace(f'name = "{model.name}"', f'name = "{folder.name}"')
    (folder / "model.toml").write_text(manifest.replace("[files]", f"[files]\nchat_template = {{ {entry} }}"))
    return place


class Server:
    """A server on a port of its own, with the models of the tree and nothing of the user's."""

    def __init__(self, *flags: str, port: int = 0) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CARAFE_")}
        if "CARAFE_OPENVINO" in os.environ:
            environment["CARAFE_OPENVINO"] = os.environ["CARAFE_OPENVINO"]
        environment |= {
            "CARAFE_MODELS": str(ROOT / "fixtures/models"),
            "XDG_DATA_HOME": "/nonexistent",
            "XDG_CACHE_HOME": "/nonexistent",
        }
        self.process = subprocess.Popen(
            [BINARY, "serve", "--port", str(port), *flags],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        self.url = re.fullmatch(r"listening on (http://\S+)\n", line)[1]
        self.wait("be ready", self.is_ready, READY_WITHIN)

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/readyz", timeout=ANSWERS_WITHIN).close()
        except urllib.error.HTTPError:
            return False
        return True

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = ANSWERS_WITHIN) -> None:
        """Waits until something holds, but not for ever."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited in vain for the server to {what}"
            time.sleep(PAUSE)

    def figure(self, name: str) -> float:
        """The sum of the figures of `/metrics` whose names begin so, over all models."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=ANSWERS_WITHIN) as answer:
            lines = answer.read().decode().splitlines()
        figures = [float(line.split()[-1]) for line in lines if line.startswith(name)]
        assert figures, f"no figure of `/metrics` begins with `{name}`"
        return sum(figures)

    def sequences(self) -> float:
        """How many sequences run or wait."""
        return self.figure("carafe_num_requests_")

    @contextlib.contextmanager
    def busy(self) -> Iterator[Callable[[], None]]:
        """Holds all permits of a server with `--queue 1008`, until the block ends or calls what it is given."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=ANSWERS_WITHIN)
        body = json.dumps(ENDLESS | {"ignore_eos": True})
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        self.wait("take a long request", lambda: self.sequences() > 0)
        try:
            yield connection.close
        finally:
            connection.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(ENDS_WITHIN)
        self.process.stdout.close()
        return code

    def client(self, **options: object) -> openai.OpenAI:
        return openai.OpenAI(**self.options(**options))

    def options(self, **options: object) -> dict[str, object]:
        """What a client of OpenAI's is given: it asks this server, once, and waits for as long as it takes."""
        defaults = {"base_url": f"{self.url}/v1", "api_key": "not asked for", "max_retries": 0, "timeout": ANSWERS_WITHIN}
        return defaults | options
