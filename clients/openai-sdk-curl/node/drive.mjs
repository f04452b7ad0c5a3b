// The openai SDK in Node: every native route, as its README shows it.
import OpenAI, { toFile } from "openai";
import { BASE_URL, KEY, MODEL, call, model } from "./said.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Say hello in one word." }];
const input = ["one", "two"];

// A WAV file of one second of silence.
function secondOfSilence() {
  const size = 16000;
  const wav = Buffer.alloc(44 + size);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + size, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(8000, 24);
  wav.writeUInt32LE(16000, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(size, 40);
  return wav;
}

async function streamed() {
  const stream = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 16, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

await call("models.list", "models", {}, async () => (await client.models.list()).data.map((item) => item.id));
await call("chat.completions.create", "chat", { messages: 1, max_tokens: 16 }, async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 16 });
  return answer.choices[0].message.content;
});
await call("chat.completions.create(stream: true)", "chat", { messages: 1, max_tokens: 16, stream: true }, streamed);
await call("embeddings.create", "embeddings", { input }, async () => {
  const answer = await client.embeddings.create({ model: model("embeddings"), input });
  return answer.data.map((item) => item.embedding.length);
});
await call("audio.transcriptions.create", "transcriptions", { file: "silence.wav" }, async () => {
  const file = await toFile(secondOfSilence(), "silence.wav", { type: "audio/wav" });
  return (await client.audio.transcriptions.create({ model: model("transcription"), file })).text;
});
await call("audio.speech.create", "speech", { input: "hello", voice: "alloy" }, async () => {
  const answer = await client.audio.speech.create({ model: model("speech"), input: "hello", voice: "alloy" });
  return (await answer.arrayBuffer()).byteLength;
});
await call("images.generate", "images", { prompt: "a dot" }, async () => {
  const answer = await client.images.generate({ model: model("image"), prompt: "a dot" });
  return answer.data.length;
});
