// A running `carafe serve` on a port of its own, for the tests of Node's clients and of the page.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BINARY = `${ROOT}/target/release/carafe`;
const READY_WITHIN = 120_000;

/** Starts a server with these flags, and waits until it is ready. */
export async function startServer(...flags) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("CARAFE_") || name === "CARAFE_OPENVINO");
  const env = { ...Object.fromEntries(own), CARAFE_MODELS: `${ROOT}/fixtures/models`, XDG_DATA_HOME: "/nonexistent" };
  const child = spawn(BINARY, ["serve", "--port", "0", ...flags], { cwd: ROOT, env, stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const url = line.match(/^listening on (http:\S+)$/u)[1];
  await untilReady(url);
  return { url, stop: () => stop(child) };
}

async function untilReady(url) {
  const end = Date.now() + READY_WITHIN;
  while ((await fetch(`${url}/readyz`)).status !== 200) {
    if (Date.now() > end) throw new Error("the server does not become ready");
    await sleep(100);
  }
}

/** Asks a server to end; its exit code. */
async function stop(child) {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  return code;
}
