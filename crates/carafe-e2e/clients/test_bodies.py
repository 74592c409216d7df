"""Bodies and connections: what reaches a client early, what is held for it, and how long."""

import gzip
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests
from conftest import BINARY, ROOT, Server
from serving import ANSWERS_WITHIN

MIB = 1 << 20
#: Larger than any buffer between a client and the server, and smaller than the largest image.
LARGE = b"\xff" * (19 * MIB)
#: Refused before the body is read: path, headers, status.
EARLY = [
    ("/nope", {"Content-Type": "image/jpeg"}, 404),
    ("/v1/classify?model=nope", {"Content-Type": "image/jpeg"}, 404),
    ("/healthz", {"Content-Type": "image/jpeg"}, 405),
    ("/v1/classify", {"Content-Type": "image/webp"}, 415),
    ("/v1/classify", {"Content-Type": "image/jpeg", "Content-Encoding": "br"}, 415),
    ("/v1/completions", {"Content-Type": "text/plain"}, 415),
    ("/v1/completions", {"Content-Type": "application/json"}, 413),
    ("/v1/completions", {"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
    ("/v1/completions", {"Content-Type": "application/json", "If-Match": '"a"'}, 412),
]


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=ANSWERS_WITHIN)


def ask(connection: http.client.HTTPConnection, path: str, body: bytes | None = None, **headers: str):
    """Status, headers and body of an answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST" if body is not None else "GET", path, body, names)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def by_http_client(url: str, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWERS_WITHIN)
    connection.request("POST", url.removeprefix(f"http://{parts.netloc}"), LARGE, headers)
    return connection.getresponse().status


def by_urllib(url: str, headers: dict[str, str]) -> int:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, LARGE, headers), timeout=ANSWERS_WITHIN).status
    except urllib.error.HTTPError as error:
        return error.code


def by_requests(url: str, headers: dict[str, str]) -> int:
    return requests.post(url, data=LARGE, headers=headers, timeout=ANSWERS_WITHIN).status_code


@pytest.mark.parametrize("send", [by_http_client, by_urllib, by_requests])
def test_an_early_refusal_reaches_a_client_that_sends_its_whole_body_first(server, send):
    for path, headers, status in EARLY:
        assert send(f"{server.url}{path}", headers) == status, (path, headers)


def test_a_refusal_for_want_of_a_key_reaches_such_a_client_as_well(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key-for-the-tests-0123\n")
    server = start("--model", "tiny", "--api-key-file", str(keys))
    assert by_http_client(f"{server.url}/v1/completions", {"Content-Type": "application/json"}) == 401


def test_an_answer_to_an_unread_body_ends_its_connection_and_to_a_read_one_does_not(server):
    connection = connect(server)
    body = json.dumps({"model": "tiny", "prompt": "a", "max_tokens": 1}).encode()
    status, headers, _ = ask(connection, "/v1/completions", body, Content_Type="application/json")
    assert (status, headers["connection"]) == (200, None)
    status, headers, _ = ask(connection, "/v1/completions", body, Content_Type="text/plain")
    assert (status, headers["connection"]) == (415, "close")


def test_a_body_compressed_by_gzip_is_unpacked_within_the_limits(server):
    connection = connect(server)
    body = json.dumps({"model": "tiny", "prompt": "a", "max_tokens": 4, "seed": 7}).encode()
    kind = {"Content_Type": "application/json"}
    plain = ask(connection, "/v1/completions", body, **kind)
    packed = ask(connection, "/v1/completions", gzip.compress(body), Content_Encoding="gzip", **kind)
    assert packed[0] == 200
    assert json.loads(packed[2])["choices"] == json.loads(plain[2])["choices"]
    picture = (ROOT / "images/parrot.jpg").read_bytes()
    status, _, _ = ask(connection, "/v1/classify", gzip.compress(picture), Content_Encoding="gzip", Content_Type="image/jpeg")
    assert status == 200
    bomb = gzip.compress(b" " * (200 * MIB))
    status, _, answer = ask(connect(server), "/v1/completions", bomb, Content_Encoding="gzip", **kind)
    assert (status, json.loads(answer)["error"]["code"]) == (413, "body_too_large")
    status, headers, answer = ask(connect(server), "/v1/completions", body, Content_Encoding="br", **kind)
    assert (status, headers["accept-encoding"]) == (415, "gzip")
    assert json.loads(answer)["error"]["code"] == "unsupported_content_encoding"
    assert ask(connect(server), "/v1/completions", body, Content_Encoding="gzip", **kind)[0] == 400


def status_of(server: Server, *lines: str, rest: bytes = b"") -> int:
    """The status of the answer to a head that no client library would send."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), ANSWERS_WITHIN) as client:
        client.sendall("\r\n".join([*lines, "Host: 127.0.0.1", "", ""]).encode() + rest)
        response = http.client.HTTPResponse(client)
        response.begin()
        return response.status


def test_a_head_that_would_be_misread_is_refused_and_the_answer_arrives(server):
    post = ("POST /infer?max_tokens=1 HTTP/1.1", "Content-Type: text/plain")
    chunks = b"1\r\na\r\n0\r\n\r\n"
    assert status_of(server, *post, "Transfer-Encoding: chunked", rest=chunks) == 200
    assert status_of(server, *post, "Content-Length: 3", "Transfer-Encoding: chunked", rest=chunks) == 200
    assert status_of(server, *post, "Transfer-Encoding: gzip, chunked", rest=chunks) == 501
    assert status_of(server, *post, "Transfer-Encoding: gzip", rest=chunks) == 400
    assert status_of(server, *post, "Expect: 200-ok", "Content-Length: 1", rest=b"a") == 417
    assert status_of(server, *post, "Expect: 100-continue", f"Content-Length: {99 * MIB}") == 413
    assert status_of(server, *post, "Content-Type: text/html", "Content-Length: 1", rest=b"a") == 400
    assert status_of(server, *post, "X-HTTP-Method-Override: GET", "Content-Length: 1", rest=b"a") == 400
    assert status_of(server, "POST /infer HTTP/1.1", "Content-Type: text/plain; charset=latin1", "Content-Length: 0") == 415
    assert status_of(server, "GET /healthz HTTP/1.1", f"X-Long: {'a' * 5 * MIB}") == 431


def test_a_form_may_be_as_large_as_an_image(server):
    picture = (ROOT / "images/parrot.jpg").read_bytes() + b"\0" * (5 * MIB)
    files = {"image": ("parrot.jpg", picture, "image/jpeg")}
    assert requests.post(f"{server.url}/v1/classify", files=files, timeout=ANSWERS_WITHIN).status_code == 200


def test_bodies_in_flight_share_one_budget_and_idle_senders_are_cut_off(start):
    server = start("--model", "tiny", "--body-memory", "32")
    size = 4 * MIB
    head = f"POST /infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n".encode()
    answers = Counter()
    most = 0.0
    with ExitStack() as stack:
        senders = []
        for _ in range(20):
            sender = stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(server.url).port), ANSWERS_WITHIN))
            sender.sendall(head + b"a" * (size - 1))
            senders.append(sender)
            most = max(most, server.figure("carafe_request_body_bytes"))
        for sender in senders:
            response = http.client.HTTPResponse(sender)
            response.begin()
            answers[response.status, json.loads(response.read())["error"]["code"]] += 1
            assert response.status != 503 or response.headers["retry-after"] == "1"
    # The budget has room for eight at a time; on a machine slow enough, senders are cut off before
    # it is full.
    assert set(answers) <= {(503, "body_memory_full"), (408, "body_too_slow")}, answers
    assert sum(answers.values()) == 20
    assert 0 < most <= 32 * MIB
    assert server.figure("carafe_request_body_bytes") == 0
    assert ask(connect(server), "/infer?max_tokens=1", b"a", Content_Type="text/plain")[0] == 200


def test_a_stream_that_is_not_read_is_cancelled_in_words(server):
    request = {"model": "tales", "prompt": "Once upon a time", "max_tokens": 250, "n": 16, "logprobs": 20}
    body = json.dumps(request | {"stream": True, "ignore_eos": True}).encode()
    unread = 'carafe_unread_streams_total{model="tales"}'
    before = server.figure(unread)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(ANSWERS_WITHIN)
        client.connect(("127.0.0.1", urlsplit(server.url).port))
        head = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close"
        client.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        server.wait("cancel the stream", lambda: server.figure(unread) == before + 1)
        assert server.figure('carafe_num_requests_running{model="tales"}') == 0
        rest = b"".join(iter(lambda: client.recv(MIB), b"")).decode()
    assert '"code":"stream_not_read"' in rest
    assert rest.count("data: [DONE]") == 1
    assert MIB < len(rest) < 4 * MIB, "what was made before it was cancelled is delivered"


def test_a_probe_tells_of_the_process_and_not_of_its_clients(start):
    server = start("--model", "tiny")
    address = ("127.0.0.1", urlsplit(server.url).port)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARAFE_")}
    for unfinished in [
        b"",
        b"GET /healthz HTTP/1.1\r\n",
        b"POST /infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n",
    ]:
        with ExitStack() as stack:
            for _ in range(1200):
                client = stack.enter_context(socket.create_connection(address, ANSWERS_WITHIN))
                client.sendall(unfinished)
            for path in ["/healthz", "/readyz", "/health", "/metrics"]:
                assert ask(connect(server), path)[0] == 200, (unfinished, path)
            health = [BINARY, "health", "--port", str(address[1])]
            assert subprocess.run(health, env=environment, check=False).returncode == 0
            assert server.figure("carafe_connections ") <= 1024 + 64
    assert server.figure("carafe_connections_dropped_total") > 0
    server.wait("serve ordinary requests again", lambda: ask(connect(server), "/v1/models")[0] == 200)


def test_a_server_that_is_about_to_stop_is_not_ready_and_serves_on(start):
    server = start("--model", "tiny", "--shutdown-delay", "600")
    kept = connect(server)
    body = json.dumps({"model": "tiny", "prompt": "a", "max_tokens": 1}).encode()
    assert ask(kept, "/v1/completions", body, Content_Type="application/json")[1]["connection"] is None
    server.process.send_signal(signal.SIGTERM)
    server.wait("be ready no more", lambda: ask(connect(server), "/readyz")[0] == 503)
    for connection in [kept, connect(server)]:
        status, headers, _ = ask(connection, "/v1/completions", body, Content_Type="application/json")
        assert (status, headers["connection"]) == (200, "close")
    assert server.stop() == 0, "a second signal does not wait"
