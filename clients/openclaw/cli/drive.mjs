// OpenClaw's own program: one headless agent turn, on a custom provider in its configuration file.
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { BASE_URL, KEY, MODEL, call } from "./said.mjs";

const program = join(import.meta.dirname, "node_modules/openclaw/openclaw.mjs");
const config = join(process.env.TMPDIR, "openclaw.json");
const workspace = join(process.env.TMPDIR, "workspace");
const hello = "Say hello in one word.";
// Files of the workspace, which is empty, and commands, which are denied; the catalog of everything else is left out.
const OWN = ["apply_patch", "edit", "exec", "ls", "process", "read", "write"];

// Base URL and key stand in the environment, and the file refers to them there.
const environment = { ...process.env, OPENAI_BASE_URL: BASE_URL, OPENAI_API_KEY: KEY };
const provider = { baseUrl: "${OPENAI_BASE_URL}", apiKey: "${OPENAI_API_KEY}", api: "openai-completions" };
const settings = {
  agents: { defaults: { model: { primary: `gt/${MODEL}` } } },
  tools: { allow: OWN, exec: { mode: "deny" }, fs: { workspaceOnly: true } },
  models: { providers: { gt: { ...provider, models: [{ id: MODEL, name: MODEL }] } } },
};

// What it answers at last. Raises its own words for a failure; what it logs besides where it has none.
async function answered(...words) {
  const child = spawn(process.execPath, [program, ...words], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const [told, logged] = await Promise.all([text(child.stdout), text(child.stderr)]);
  let outcome;
  try {
    outcome = JSON.parse(told);
  } catch {
    throw new Error(logged || told || "it wrote nothing");
  }
  if (!outcome.ok) throw new Error(outcome.error?.message ?? told);
  return outcome.final;
}

await writeFile(config, JSON.stringify(settings));
await mkdir(workspace);
await call("openclaw agent exec", "chat", { prompt: hello, departs: ["chat.load.tools"] }, () => {
  return answered("agent", "exec", hello, "--config", config, "--cwd", workspace, "--json");
});
