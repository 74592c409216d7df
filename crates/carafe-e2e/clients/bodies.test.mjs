// Node's own fetch, which sends a whole body before it reads: refusals that come early must reach
// it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";

const LARGE = new Uint8Array(19 << 20).fill(0xff);
let server;

before(async () => {
  server = await startServer();
});

after(async () => assert.equal(await server.stop(), 0));

const EARLY = [
  ["/nope", "image/jpeg", 404],
  ["/v1/classify?model=nope", "image/jpeg", 404],
  ["/healthz", "image/jpeg", 405],
  ["/v1/classify", "image/webp", 415],
  ["/v1/completions", "text/plain", 415],
  ["/v1/completions", "application/json", 413],
];

for (const [path, type, status] of EARLY) {
  test(`a large ${type} for ${path} is answered with ${status}`, async () => {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const response = await fetch(`${server.url}${path}`, { method: "POST", body: LARGE, headers: { "Content-Type": type } });
      assert.equal(response.status, status);
      assert.ok((await response.json()).error.message.length > 0);
    }
  });
}
