"""A server that answers conversations with texts of a test's own, to reach what no model writes on demand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Scripted:
    """Plays one model of OpenAI's API."""

    def __init__(self, *texts: str) -> None:
        self.left = list(texts)
        self.requests: list[dict] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 20

            def do_GET(self) -> None:
                self.answer({"object": "list", "data": [{"id": "scripted", "object": "model", "created": 0, "owned_by": "test"}]})

            def do_POST(self) -> None:
                script.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                message = {"role": "assistant", "content": script.left.pop(0)}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                about = {"id": "chat-1", "object": "chat.completion", "created": 0, "model": "scripted"}
                self.answer(about | {"choices": [choice]})

            def answer(self, value: dict) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
