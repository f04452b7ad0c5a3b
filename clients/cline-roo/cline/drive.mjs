// Cline at the command line: the OpenAI Compatible provider is set up, and one task is run to its end.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { BASE_URL, KEY, MODEL, call } from "./said.mjs";

const TASK_MS = 150_000;
const CLINE = fileURLToPath(new URL("node_modules/cline/bin/cline", import.meta.url));
// With a place of its own for its data it starts no daemon, which would outlive it.
const DATA = `${process.env.TMPDIR}/cline`;
// Its switches are read from the usual place all the same.
const SETTINGS = `${process.env.HOME}/.cline/data/settings`;
const SWITCHES = { telemetryOptOut: true, autoUpdateEnabled: false };
const PROVIDER = ["--provider", "openai-compatible", "--apikey", KEY, "--modelid", MODEL, "--baseurl", BASE_URL];

class ClineError extends Error {}

// What cline printed, and whether it ended well. Throws what kept it from starting.
function ran(...options) {
  const done = spawnSync(process.execPath, [CLINE, ...options, "--data-dir", DATA], { encoding: "utf8", timeout: TASK_MS });
  if (done.error && done.error.code !== "ETIMEDOUT") throw done.error;
  const [printed, told] = [done.stdout, done.stderr].map((text) => stripVTControlCharacters(text).trim());
  const ended = done.error ? `no answer within ${TASK_MS / 1000} s` : `exit code ${done.status}`;
  return { fine: done.status === 0, printed, told: told || printed || ended };
}

// The provider as it is kept, in cline's words.
function configured() {
  const { fine, printed, told } = ran("auth", ...PROVIDER);
  if (!fine) throw new ClineError(told);
  return printed;
}

// The text with which the task ended: no tool is run, since nobody is there to approve of it. Throws ClineError with cline's own words where it was not completed.
function completed() {
  const { printed, told } = ran("--json", "--auto-approve", "false", "Say hello in one word.");
  const events = printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const result = events.find((event) => event.type === "run_result");
  const error = events.find((event) => event.type === "error");
  if (result?.finishReason !== "completed") throw new ClineError(error?.message ?? result?.text ?? told);
  return result.text;
}

mkdirSync(SETTINGS, { recursive: true });
writeFileSync(`${SETTINGS}/global-settings.json`, JSON.stringify(SWITCHES));
await call("cline auth", null, { provider: "openai-compatible" }, configured);
await call("cline --json", "chat", { messages: 1, stream: true }, completed);
