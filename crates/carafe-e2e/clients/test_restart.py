"""A rolling restart behind a balancer: two servers, each restarted in turn under load, and no request is lost.

The configurations are those of docs/cluster.md but for ports and files. `-s` prints the figures.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from conftest import Server
from serving import ANSWERS_WITHIN

#: Seconds in which the balancer must see that a server leaves; its checks are half a second apart.
DELAY = 10
CLIENTS = 4
FLAGS = ["--model", "tiny", "--shutdown-delay", str(DELAY)]
BODY = {"model": "tiny", "prompt": "a", "max_tokens": 12, "ignore_eos": True}

HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 330s
    timeout server 330s
    # Nothing is sent twice: what is lost shall be seen.
    retries 0
frontend carafe
    bind 127.0.0.1:{port}
    default_backend carafe
backend carafe
    option httpchk GET /readyz
    default-server check inter 500ms fall 1 rise 1
    server one 127.0.0.1:{one}
    server two 127.0.0.1:{two}
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream carafe {{
        server 127.0.0.1:{one} max_fails=0;
        server 127.0.0.1:{two} max_fails=0;
        keepalive 16;
        keepalive_timeout 20s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://carafe;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host 127.0.0.1;
            proxy_buffering off;
            proxy_read_timeout 330s;
            proxy_next_upstream error http_503 non_idempotent;
            client_max_body_size 20m;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Balancer:
    """haproxy or nginx in front of two ports."""

    def __init__(self, name: str, folder: Path, servers: tuple[int, int]) -> None:
        program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            reason = f"`{name}` is not installed; Debian has it"
            pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
        self.port = free_port()
        template = {"haproxy": HAPROXY, "nginx": NGINX}[name]
        file = folder / "balancer.conf"
        file.write_text(template.format(folder=folder, port=self.port, one=servers[0], two=servers[1]))
        options = {"haproxy": ["-db", "-f"], "nginx": ["-p", str(folder), "-c"]}[name]
        self.process = subprocess.Popen([program, *options, file], stderr=(folder / "stderr").open("w"))
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        end = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=ANSWERS_WITHIN).close()
                return
            except OSError:
                assert time.monotonic() < end, "the balancer does not answer"
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(ANSWERS_WITHIN)


class Load:
    """Clients that ask one request after the other; every outcome is counted."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1/completions"
        self.outcomes: Counter[str] = Counter()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(index,)) for index in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, index: int) -> None:
        while not self.ended.is_set():
            try:
                self.outcomes[self.ask(stream=index % 2 == 0)] += 1
            except Exception as error:  # whatever it is, a request was lost
                self.outcomes[repr(error)] += 1

    def ask(self, stream: bool) -> str:
        body = json.dumps(BODY | {"stream": stream}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as response:
            answer = response.read().decode()
        complete = '"finish_reason":"length"' in answer and (not stream or answer.endswith("data: [DONE]\n\n"))
        return "answered" if complete else f"incomplete: {answer}"

    def end(self) -> Counter[str]:
        self.ended.set()
        for thread in self.threads:
            thread.join(ANSWERS_WITHIN)
        return self.outcomes


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_no_request_is_lost_while_each_of_two_servers_is_restarted(name, start, tmp_path, ports):
    tmp_path.chmod(0o755)
    servers: list[Server] = [start(*FLAGS, port=port) for port in ports]
    balancer = Balancer(name, tmp_path, ports)
    load = Load(balancer.port)
    try:
        for index, port in enumerate(ports):
            before = load.outcomes["answered"]
            servers[index].process.send_signal(signal.SIGTERM)
            assert servers[index].process.wait(ANSWERS_WITHIN) == 0
            while_it_stopped = load.outcomes["answered"] - before
            servers[index] = start(*FLAGS, port=port)
            # The balancer must have seen it come back before the other one leaves: then it asks it
            # again.
            back = servers[index]
            back.wait("be asked again", lambda back=back: back.figure("carafe_generation_tokens_total") > 0)
            print(f"{name}: server {index + 1} restarted, {while_it_stopped} requests answered while it stopped")
            assert while_it_stopped > 0
    finally:
        outcomes = load.end()
        balancer.stop()
    print(f"{name}: {dict(outcomes)}")
    assert set(outcomes) == {"answered"}, outcomes
