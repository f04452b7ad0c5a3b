// What a product in JavaScript needs to send requests for steps.py: a request on each line of its input, its answer on
// each line of its output.
import { createInterface } from "node:readline";

const LONGEST = 2000;
const LONGEST_ANSWER = 100_000;

// Send every request of the input by the product: {method, url, headers, json, file: {name, content, kind}}. `send` gives
// {status, headers, text}, or throws what a user of the product would see.
export async function serve(send) {
  for await (const line of createInterface({ input: process.stdin })) {
    const said = { answer: null, raised: null };
    try {
      const { status, headers, text } = await send(JSON.parse(line));
      const whole = typeof text === "string" ? text : JSON.stringify(text ?? null);
      said.answer = { status, headers: plain(headers), text: whole.slice(0, LONGEST_ANSWER) };
    } catch (error) {
      const message = String(error?.message ?? error).slice(0, LONGEST);
      said.raised = { type: error?.constructor?.name ?? typeof error, message };
    }
    process.stdout.write(`\n${JSON.stringify(said)}\n`);
  }
}

function plain(headers) {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]));
}
