// LangChain in JavaScript: a chain that answers, whole and streamed, and a batch of texts that is embedded.
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { BASE_URL, KEY, MODEL, call, model } from "./said.mjs";

const common = { apiKey: KEY, configuration: { baseURL: BASE_URL }, maxRetries: 0 };
const chain = new ChatOpenAI({ ...common, model: MODEL, maxTokens: 16 }).pipe(new StringOutputParser());
const embeddings = new OpenAIEmbeddings({ ...common, model: model("embeddings") });
const hello = "Say hello in one word.";
const asked = { messages: 1, max_tokens: 16 };

async function streamed() {
  let text = "";
  for await (const part of await chain.stream(hello)) text += part;
  return text;
}

await call("ChatOpenAI.invoke", "chat", asked, () => chain.invoke(hello));
await call("ChatOpenAI.stream", "chat", { ...asked, stream: true }, streamed);
await call("OpenAIEmbeddings.embedDocuments", "embeddings", { texts: ["one", "two"] }, async () => {
  const vectors = await embeddings.embedDocuments(["one", "two"]);
  return vectors.map((vector) => vector.length);
});
await call("OpenAIEmbeddings.embedQuery", "embeddings", { text: "one" }, async () => {
  return (await embeddings.embedQuery("one")).length;
});
