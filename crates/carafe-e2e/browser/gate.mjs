// A proxy on loopback before a server, which holds the events of streams back and lets them through
// one by one, when the test says so.
//
// What is written to the page is then no matter of speed: a generation lasts for as long as the
// test wants it to.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";

const END_OF_EVENT = "\n\n";

export class Gate {
  #events = [];
  #arrived = () => {};
  #answer = null;

  /** Opens a gate before the server of this address. */
  static async open(url) {
    const gate = new Gate();
    gate.server = createServer((asked, answer) => gate.#forward(new URL(url), asked, answer));
    gate.server.listen(0, "127.0.0.1");
    await once(gate.server, "listening");
    gate.url = `http://127.0.0.1:${gate.server.address().port}`;
    return gate;
  }

  /** Lets the next event of the running stream through, as soon as it is there: its chunk. */
  async pass() {
    while (this.#events.length === 0) await new Promise((resolve) => (this.#arrived = resolve));
    const event = this.#events.shift();
    this.#answer.write(event);
    const data = event.replace(/^data: /u, "").trim();
    if (data === "[DONE]") this.#answer.end();
    return data === "[DONE]" ? null : JSON.parse(data);
  }

  /** Lets the rest of the running stream through. */
  async passAll() {
    while ((await this.pass()) !== null);
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  #forward({ hostname, port }, asked, answer) {
    const { method, url: path, headers } = asked;
    const onward = request({ hostname, port, method, path, headers }, (came) => {
      answer.writeHead(came.statusCode, came.headers);
      if (came.headers["content-type"]?.startsWith("text/event-stream")) this.#hold(came, answer);
      else came.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  }

  #hold(came, answer) {
    answer.flushHeaders();
    [this.#events, this.#answer] = [[], answer];
    let rest = "";
    came.setEncoding("utf8").on("data", (text) => {
      const parts = (rest + text).split(END_OF_EVENT);
      rest = parts.pop();
      // Comments that keep the connection alive are nothing to wait for.
      const events = parts.filter((part) => part.startsWith("data: ")).map((part) => part + END_OF_EVENT);
      this.#events.push(...events);
      this.#arrived();
    });
    came.on("error", () => assert.ok(answer.destroyed, "only the page ends a stream early"));
  }
}
