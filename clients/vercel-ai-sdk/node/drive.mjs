// The Vercel AI SDK on a server: text and vectors through openai.chat() and openai.embedding(), as the runbook names them.
import { createOpenAI } from "@ai-sdk/openai";
import { embed, embedMany, generateText, streamText } from "ai";
import { BASE_URL, KEY, MODEL, call, model } from "./said.mjs";

const openai = createOpenAI({ baseURL: BASE_URL, apiKey: KEY });
const asked = { model: openai.chat(MODEL), prompt: "Say hello in one word.", maxOutputTokens: 16, maxRetries: 0 };
const vectors = { model: openai.embedding(model("embeddings")), maxRetries: 0 };

// The text of a stream, put together. It ends without a word after an error, which only onError is told.
async function streamed() {
  let failure = null;
  const result = streamText({
    ...asked,
    onError: ({ error }) => {
      failure = error;
    },
  });
  let text = "";
  for await (const part of result.textStream) text += part;
  if (failure) throw failure;
  return text;
}

await call("generateText(openai.chat)", "chat", { prompt: 1, max_tokens: 16 }, async () => {
  return (await generateText(asked)).text;
});
await call("streamText(openai.chat)", "chat", { prompt: 1, max_tokens: 16, stream: true }, streamed);
await call("embed", "embeddings", { value: "one" }, async () => {
  return (await embed({ ...vectors, value: "one" })).embedding.length;
});
await call("embedMany", "embeddings", { values: ["one", "two"] }, async () => {
  const answer = await embedMany({ ...vectors, values: ["one", "two"] });
  return answer.embeddings.map((embedding) => embedding.length);
});
