// Reads a stream of server-sent events, as OpenAI's API sends them: `data: {…}` until `data:
// [DONE]`.

import { Problem } from "./api.js";

/** The lines of a body; one that is cut by the network is put together again. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

/**
 * The chunks of a streamed answer. An error in the stream, and an end before its time, are thrown.
 */
export async function* chunks(response) {
  try {
    for await (const line of lines(response.body)) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice("data: ".length);
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw Problem.from(chunk);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem("unreachable", error.message);
  }
  throw new Problem("unreachable", "the answer broke off before its end");
}
