// n8n's OpenAI nodes in its own execution engine: the credential is tested, names are listed, workflows chat and embed.
// The server is left out. What it would give to the engine is made here and in engine.mjs.
import { BASE, core, executed, given, loaded, node as bare, nodeTypesOf, require, start, workflow } from "./engine.mjs";
import { BASE_URL, KEY, MODEL, call, model } from "./said.mjs";

const { createRunExecutionData } = require("n8n-workflow");

const AI = "@n8n/n8n-nodes-langchain";
const HELLO = { promptType: "define", text: "Say hello in one word." };
const TEXTS = ["one", "two"];

const loaders = { [BASE]: await loaded(BASE), [AI]: await loaded(AI) };

// Beside the newest agent, n8n keeps old ones, which need SQLite's binary: an install script would fetch that.
const { AgentV3 } = require(`${loaders[AI].directory}/dist/nodes/agents/Agent/V3/AgentV3.node.js`);
const agentV3 = new AgentV3({ name: `${AI}.agent`, displayName: "AI Agent" });

const nodeTypes = nodeTypesOf(loaders, { [agentV3.description.name]: agentV3 });

const CREDENTIAL = "openAiApi";
const credential = { apiKey: KEY, url: BASE_URL };
const { type: credentialType } = loaders[BASE].getCredential(CREDENTIAL);
const credentialsHelper = {
  isCredentialUsableByNode: () => true,
  getParentTypes: () => [],
  getDecrypted: async () => credential,
  preAuthentication: async () => undefined,
  authenticate: async (decrypted, _, request) => credentialType.authenticate(decrypted, request),
};

const node = (name, type, typeVersion, parameters) =>
  bare(name, type, typeVersion, parameters, { [CREDENTIAL]: { id: "gt", name: "GT" } });

const chatModel = node("OpenAI Chat Model", `${AI}.lmChatOpenAi`, 1.3, {
  model: { __rl: true, mode: "id", value: MODEL },
  responsesApiEnabled: false,
  options: { maxTokens: 16, maxRetries: 0 },
});

const answered = (last, parts, { texts = [""], sendChunk } = {}) =>
  executed(
    workflow(nodeTypes, last, parts),
    texts.map((text) => ({ json: { text } })),
    given(credentialsHelper, sendChunk),
  );

// The request that a credential declares as its test, sent as the server sends it.
async function tested() {
  const property = { name: "test", type: "string", default: "", routing: credentialType.test };
  const description = { properties: [property], credentials: [{ name: CREDENTIAL, required: true }] };
  const probe = node("Test", start.type, start.typeVersion, { test: "" });
  const items = { main: [[{ json: {} }]] };
  const run = [createRunExecutionData(), 0, [], items, { data: items, node: probe, source: null }, []];
  const context = new core.ExecuteContext(workflow(nodeTypes, chatModel), probe, given(credentialsHelper), "internal", ...run);
  await new core.RoutingNode(context, { description }, { data: credential }).runNode();
  return "Connection tested successfully";
}

async function listed() {
  const context = new core.LoadOptionsContext(
    workflow(nodeTypes, chatModel),
    chatModel,
    given(credentialsHelper),
    "parameters.model",
  );
  const { listSearch } = nodeTypes.getByName(chatModel.type).methods;
  return (await listSearch.searchModels.call(context)).results.map((found) => found.name);
}

async function whole() {
  const chain = node("Basic LLM Chain", `${AI}.chainLlm`, 1.9, HELLO);
  return (await answered(chain, { ai_languageModel: chatModel }))[0].text;
}

async function streamed() {
  const agent = node("AI Agent", agentV3.description.name, 3.1, HELLO);
  let text = "";
  const sendChunk = (chunk) => {
    if (chunk.type === "item") text += chunk.content;
  };
  await answered(agent, { ai_languageModel: chatModel }, { sendChunk });
  return text;
}

async function embedded() {
  const ai_embedding = node("Embeddings OpenAI", `${AI}.embeddingsOpenAi`, 1.2, { model: model("embeddings") });
  const ai_document = node("Default Data Loader", `${AI}.documentDefaultDataLoader`, 1.1);
  const store = node("Simple Vector Store", `${AI}.vectorStoreInMemory`, 1.3, { mode: "insert" });
  return (await answered(store, { ai_embedding, ai_document }, { texts: TEXTS })).length;
}

const asked = { messages: 1, max_tokens: 16 };
await call("OpenAI credential, its test", "models", {}, tested);
await call("OpenAI Chat Model, its list of models", "models", {}, listed);
await call("OpenAI Chat Model in a Basic LLM Chain", "chat", asked, whole);
await call("OpenAI Chat Model in an AI Agent, streaming", "chat", { ...asked, stream: true }, streamed);
await call("Embeddings OpenAI in a Simple Vector Store", "embeddings", { texts: TEXTS }, embedded);
