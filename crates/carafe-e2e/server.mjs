// A running `carafe serve` on a port of its own, for the tests of Node's clients and of the page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BINARY = `${ROOT}/target/release/carafe`;
const PAUSE = 50;

/** A bound in milliseconds that only what hangs exceeds: no test may depend on how fast the machine is. */
export const PATIENCE = 600_000;

/** The sequences of a request that outlasts whatever a test does meanwhile: minutes of work. */
const ENDLESS_SEQUENCES = 63 * 16;
const ENDLESS = { model: "tales", prompt: Array(63).fill("Once upon a time"), n: 16, max_tokens: 250, ignore_eos: true };

/** Flags of a server whose permits [`holdPermits`] can hold, all of them. */
export const BUSY_FLAGS = ["--queue", String(ENDLESS_SEQUENCES), "--request-timeout", "3600"];

/** The chat template of [`makeChatModel`]: a play's script, whose next lines are the model's. */
const CHAT_TEMPLATE = `{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`;

/** Makes a folder of models with one that converses, `tales-chat`: `tales` and a chat template. Whoever calls this removes the folder. */
export function makeChatModel() {
  const models = mkdtempSync(join(tmpdir(), "carafe-"));
  const folder = join(models, "tales-chat");
  cpSync(`${ROOT}/models/tales`, folder, { recursive: true });
  writeFileSync(join(folder, "chat_template.jinja"), CHAT_TEMPLATE);
  const sha256 = createHash("sha256").update(CHAT_TEMPLATE).digest("hex");
  const file = `chat_template = { path = "chat_template.jinja", size = ${CHAT_TEMPLATE.length}, sha256 = "${sha256}" }`;
  const manifest = readFileSync(join(folder, "model.toml"), "utf8");
  const changed = manifest.replace('name = "tales"', 'name = "tales-chat"').replace("[files]\n", `[files]\n${file}\n`);
  const defaults = "weight_bits = 8\ngeneration = { temperature = 0.6, top_p = 0.9 }\n";
  writeFileSync(join(folder, "model.toml"), changed.replace("weight_bits = 8\n", defaults));
  return models;
}

/** Starts a server with these flags, and waits until it is ready. */
export async function startServer(...flags) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("CARAFE_") || name === "CARAFE_OPENVINO");
  const nothingOfTheUsers = { XDG_DATA_HOME: "/nonexistent", XDG_CACHE_HOME: "/nonexistent" };
  const env = { ...Object.fromEntries(own), CARAFE_MODELS: `${ROOT}/fixtures/models`, ...nothingOfTheUsers };
  const child = spawn(BINARY, ["serve", "--port", "0", ...flags], { cwd: ROOT, env, stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const url = line.match(/^listening on (http:\S+)$/u)[1];
  await untilReady(url);
  return { url, stop: () => stop(child) };
}

const untilReady = (url) => until("the server to be ready", async () => (await fetch(`${url}/readyz`)).status === 200);

/** Waits until something holds, but not for ever. */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(PAUSE);
  }
}

/** Takes all permits of a server that was started with `BUSY_FLAGS`; what comes back gives them free, and waits until they are. */
export async function holdPermits(url) {
  const control = new AbortController();
  const headers = { "content-type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(ENDLESS), signal: control.signal };
  const answer = fetch(`${url}/v1/completions`, options).catch((error) => error);
  await until("a long request to run", async () => !(await isIdle(url)));
  return async () => {
    control.abort();
    assert.equal((await answer).name, "AbortError");
    await until("the permits to be free", () => isIdle(url));
  };
}

/** Whether no sequence runs or waits. */
async function isIdle(url) {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return !/^carafe_num_requests_\w+\{.*\} [1-9]/mu.test(metrics);
}

/** Asks a server to end; its exit code. */
async function stop(child) {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  return code;
}
