// Continue's command cn, asked once without a terminal, with the runbook's model in its config.yaml.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BASE_URL, KEY, MODEL, call } from "./said.mjs";

const ANSWER_MS = 90_000;
const CONFIG = `${process.env.TMPDIR}/config.yaml`;
const CN = fileURLToPath(new URL("node_modules/@continuedev/cli/dist/cn.js", import.meta.url));

// What reads, writes, runs or fetches; the rest is offered to the model as ever.
const ACTING = ["Bash", "Diff", "Edit", "Fetch", "List", "MultiEdit", "Read", "Search", "UploadArtifact", "Write"];
const HELD = ACTING.flatMap((tool) => ["--exclude", tool]);

class CnError extends Error {}

// The answer, as cn prints it. Throws CnError with what it wrote instead.
function answered() {
  const asked = [CN, ...HELD, "--config", CONFIG, "-p", "Say hello in one word."];
  const done = spawnSync(process.execPath, asked, { encoding: "utf8", timeout: ANSWER_MS });
  if (done.error && done.error.code !== "ETIMEDOUT") throw done.error;
  const [answer, told] = [done.stdout.trim(), done.stderr.trim()];
  const ended = done.error ? `no answer within ${ANSWER_MS / 1000} s` : `exit code ${done.status}`;
  if (done.error || done.status !== 0 || (!answer && told)) throw new CnError(told || answer || ended);
  return answer;
}

// JSON is YAML, too.
const model = { name: "GT", provider: "openai", model: MODEL, apiBase: BASE_URL, apiKey: KEY };
writeFileSync(CONFIG, JSON.stringify({ name: "gt-conformance", version: "1.0.0", schema: "v1", models: [model] }));
await call("cn -p", "chat", { messages: 1, stream: true, departs: ["chat.load.tools"] }, answered);
