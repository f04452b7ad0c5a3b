// LibreChat's agents, which run every chat of a custom endpoint: one turn, streamed as LibreChat has it.
import { randomUUID } from "node:crypto";
import { Providers, Run } from "@librechat/agents";
import { HumanMessage } from "@librechat/agents/langchain/messages";
import { BASE_URL, KEY, MODEL, call } from "./said.mjs";

const hello = "Say hello in one word.";
const llmConfig = {
  provider: Providers.OPENAI,
  model: MODEL,
  apiKey: KEY,
  configuration: { baseURL: BASE_URL },
  streaming: true,
  streamUsage: true,
  maxTokens: 16,
  maxRetries: 0,
};

// The text of the answer, put together of its parts.
async function answered() {
  const runId = randomUUID();
  const run = await Run.create({ runId, graphConfig: { type: "standard", llmConfig }, returnContent: true });
  const state = { messages: [new HumanMessage(hello)] };
  const settings = { runId, configurable: { thread_id: runId }, streamMode: "values", version: "v2" };
  const parts = await run.processStream(state, settings);
  return parts.map((part) => part.text ?? "").join("");
}

await call("Run.processStream", "chat", { messages: 1, max_tokens: 16, stream: true }, answered);
