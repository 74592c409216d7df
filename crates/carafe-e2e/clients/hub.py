"""A server on loopback that answers as the Hugging Face hub does: redirects, ranges, hashes in headers; and misbehaves on demand.

Small files are answered in place with an ETag of git's kind. Large ones, of the kinds that the hub keeps in its own store, are
redirected to another path and named by their SHA-256 in `X-Linked-ETag`. The API lists the files of a revision. A `play` answers
requests for files in the hub's place, and a `list_play` those for the list, in whatever way a test needs; what it leaves alone is
answered as usual.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
STORED = (".bin", ".gguf", ".safetensors", ".tflite")
API = "/api/models/"
STORE = "/store/"


def git_hash(contents: bytes) -> str:
    """Return git's name for the contents of a file."""
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()


class Request(BaseHTTPRequestHandler):
    """One request, and the ways to answer it."""

    timeout = 20

    @property
    def file(self) -> str:
        """The name of the file that is asked for."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_probe(self) -> bool:
        """Whether only the file's first byte is asked for, to learn its length and name."""
        return self.headers["Range"] == "bytes=0-0"

    def finish_with(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", length: int | None = None
    ) -> None:
        """Send an answer whose body may be shorter than the length that it announces; an empty header is left out."""
        self.send_response(status)
        lengths = {"Content-Length": str(len(body) if length is None else length), "Connection": "close"}
        for name, value in {**lengths, **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


# answers a request in the hub's place, or says that it leaves it alone
Play = Callable[[Request], bool]


class Hub:
    """One revision of one repository, `test/tiny`, whose files are those of a folder."""

    repository = "test/tiny"
    revision = "main"

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.requests: list[str] = []  # the file of each, lists of files apart
        self.lists = 0  # requests for the list
        self.ranges: list[tuple[str, str | None]] = []  # of every request for a stored file's contents
        self.tokens: list[str | None] = []  # what each request brought for `Authorization`
        self.cuts: list[int] = []  # after how many bytes the next answers break off
        self.commit = COMMIT
        self.claimed_hash: Callable[[bytes], str] = lambda contents: hashlib.sha256(contents).hexdigest()
        self.play: Play = lambda _: False
        self.list_play: Play = lambda _: False
        self.token: str | None = None  # that requests must bring
        hub = self

        class Handler(Request):
            def do_GET(self) -> None:
                hub.tokens.append(self.headers["Authorization"])
                if self.path.startswith(API):
                    hub.lists += 1
                    return hub.list_play(self) or hub.list(self)
                hub.requests.append(self.file)
                return hub.play(self) or hub.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def names(self, file: str) -> dict[str, str]:
        """Return the headers by which the hub names a small file."""
        return {"ETag": f'"{git_hash(self.files[file])}"', "X-Repo-Commit": self.commit}

    def may_not_read(self, request: Request) -> bool:
        """Say whether a request lacks the token that it must bring."""
        return self.token is not None and request.headers["Authorization"] != f"Bearer {self.token}"

    def list(self, request: Request) -> None:
        """Say which commit the revision is, and which files it has."""
        if self.may_not_read(request):
            return request.finish_with(401)
        if request.path != f"{API}{self.repository}/revision/{self.revision}":
            return request.finish_with(404)
        listing = {"id": self.repository, "sha": self.commit, "siblings": [{"rfilename": name} for name in self.files]}
        return request.finish_with(200, {"Content-Type": "application/json"}, json.dumps(listing).encode())

    def answer(self, request: Request) -> None:
        """Answer as the hub does."""
        if self.may_not_read(request):
            return request.finish_with(401)
        prefix = f"/{self.repository}/resolve/{self.commit}/"
        if request.path.startswith(STORE):
            return self.send(request)
        name = request.path.removeprefix(prefix)
        if not request.path.startswith(prefix) or name not in self.files:
            return request.finish_with(404)
        return self.redirect(request, f"{self.url}{STORE}{name}") if name.endswith(STORED) else self.send(request)

    def redirect(self, request: Request, location: str) -> None:
        """Say where a stored file lies."""
        etag = f'"{self.claimed_hash(self.files[request.file])}"'
        request.finish_with(302, {"Location": location, "X-Repo-Commit": self.commit, "X-Linked-ETag": etag})

    def send(self, request: Request) -> None:
        """Send the contents of a file, or the range of them that is asked for."""
        contents, asked = self.files[request.file], request.headers["Range"]
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1 if last else len(contents), len(contents))
        if start >= len(contents):
            return request.finish_with(416, {"Content-Range": f"bytes */{len(contents)}"})
        body = sent = contents[start:end]
        if not request.is_probe and request.file.endswith(STORED):
            self.ranges.append((request.file, asked))
            sent = body[: self.cuts.pop(0)] if self.cuts else body
        partial = {"Content-Range": f"bytes {start}-{end - 1}/{len(contents)}"} if asked else {}
        return request.finish_with(206 if asked else 200, {**self.names(request.file), **partial}, sent, len(body))
