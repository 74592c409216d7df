"""A server on loopback that answers as the Hugging Face hub does: redirects, ranges, hashes in headers; and misbehaves on demand.

Small files are answered in place with an ETag of git's kind. Large ones, of the kinds that the hub keeps in its own store, are
redirected to another path and named by their SHA-256 in `X-Linked-ETag`.
"""

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
STORED = (".safetensors", ".tflite")


class Hub:
    """One revision of one repository, `test/tiny`, whose files are those of a folder."""

    repository = "test/tiny"
    revision = "main"

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.ranges: list[tuple[str, str]] = []  # of every request for a stored file's contents
        self.cuts: list[int] = []  # after how many bytes the next answers break off
        self.commit = COMMIT
        self.claimed_hash: Callable[[bytes], str] = lambda contents: hashlib.sha256(contents).hexdigest()
        self.status: int | None = None  # answered instead of anything else
        self.token: str | None = None  # that requests must bring
        hub = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                hub.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request: "_Handler") -> None:
        if self.status is not None:
            return request.finish_with(self.status)
        if self.token is not None and request.headers["Authorization"] != f"Bearer {self.token}":
            return request.finish_with(401)
        store, prefix = "/store/", f"/{self.repository}/resolve/{self.revision}/"
        if request.path.startswith(store):
            return self._send(request, request.path.removeprefix(store))
        name = request.path.removeprefix(prefix)
        if not request.path.startswith(prefix) or name not in self.files:
            return request.finish_with(404)
        if not name.endswith(STORED):
            return self._send(request, name)
        headers = {"Location": f"{self.url}{store}{name}", "X-Repo-Commit": self.commit}
        return request.finish_with(302, {**headers, "X-Linked-ETag": f'"{self.claimed_hash(self.files[name])}"'})

    def _send(self, request: "_Handler", name: str) -> None:
        contents, asked = self.files[name], request.headers["Range"]
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1 if last else len(contents), len(contents))
        if start >= len(contents):
            return request.finish_with(416)
        is_whole = not last
        if is_whole and name.endswith(STORED):
            self.ranges.append((name, asked))
        etag = hashlib.sha1(contents).hexdigest()
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(contents)}", "ETag": f'"{etag}"', "X-Repo-Commit": self.commit}
        body = contents[start:end]
        sent = body[: self.cuts.pop(0)] if is_whole and name.endswith(STORED) and self.cuts else body
        return request.finish_with(206, headers, sent, len(body))


class _Handler(BaseHTTPRequestHandler):
    timeout = 20

    def finish_with(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", length: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
