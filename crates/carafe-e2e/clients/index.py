"""A Python package index on loopback with one wheel of each package, whatever that holds."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Index:
    """Answers pip as the simple API does (PEP 503)."""

    def __init__(self, package: str, wheel: str, contents: bytes) -> None:
        self.requests: list[str] = []
        answers = {f"/simple/{package}/": f'<a href="/files/{wheel}">{wheel}</a>'.encode(), f"/files/{wheel}": contents}
        index = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 20

            def do_GET(self) -> None:
                index.requests.append(self.path)
                body = answers.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
