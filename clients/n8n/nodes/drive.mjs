// n8n's OpenAI nodes in its own execution engine: the credential is tested, names are listed, workflows chat and embed.
// The server is left out. What it would give to the engine is made here: the nodes by their names, and the credential.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { BASE_URL, KEY, MODEL, call, model } from "./said.mjs";

const require = createRequire(import.meta.url);
const core = require("n8n-core");
const { Workflow, createRunExecutionData } = require("n8n-workflow");

const BASE = "n8n-nodes-base";
const AI = "@n8n/n8n-nodes-langchain";
const HELLO = { promptType: "define", text: "Say hello in one word." };
const TEXTS = ["one", "two"];

const loaders = {};
for (const name of [BASE, AI]) {
  loaders[name] = new core.LazyPackageDirectoryLoader(dirname(require.resolve(`${name}/package.json`)));
  await loaders[name].loadAll();
}

// Beside the newest agent, n8n keeps old ones, which need SQLite's binary: an install script would fetch that.
const { AgentV3 } = require(`${loaders[AI].directory}/dist/nodes/agents/Agent/V3/AgentV3.node.js`);
const agentV3 = new AgentV3({ name: `${AI}.agent`, displayName: "AI Agent" });

const nodeTypes = {
  getByName(type) {
    const [, name, short] = type.match(/(.*)\.(.*)/);
    return loaders[name].getNode(short).type;
  },
  getByNameAndVersion(type, version) {
    if (type === agentV3.description.name) return agentV3;
    const found = this.getByName(type);
    return found.nodeVersions ? found.getNodeType(version) : found;
  },
};

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

function node(name, type, typeVersion, parameters = {}) {
  const credentials = { [CREDENTIAL]: { id: "gt", name: "GT" } };
  return { id: name, name, type, typeVersion, position: [0, 0], parameters, credentials };
}

const start = node("Start", `${BASE}.manualTrigger`, 1);
const chatModel = node("OpenAI Chat Model", `${AI}.lmChatOpenAi`, 1.3, {
  model: { __rl: true, mode: "id", value: MODEL },
  responsesApiEnabled: false,
  options: { maxTokens: 16, maxRetries: 0 },
});

// A workflow: `last`, with the start before it and `parts` below it, each by the kind of its connection.
function workflow(last, parts = {}) {
  const joined = Object.entries({ main: start, ...parts });
  const connections = joined.map(([type, { name }]) => [name, { [type]: [[{ node: last.name, type, index: 0 }]] }]);
  const nodes = [...joined.map(([, part]) => part), last];
  return new Workflow({ id: "gt", nodes, connections: Object.fromEntries(connections), active: false, nodeTypes });
}

// What the server gives to an execution. `sendChunk` is told the parts of an answer that streams.
function given(sendChunk) {
  const hooks = new core.ExecutionLifecycleHooks("manual", "1", {});
  if (sendChunk) hooks.addHandler("sendChunk", sendChunk);
  const own = "http://127.0.0.1";
  return { credentialsHelper, hooks, streamingEnabled: true, webhookWaitingBaseUrl: own, formWaitingBaseUrl: own };
}

// The items that the last node gives for those that are pinned to the start. Throws what the user is shown.
async function executed(made, { texts = [""], sendChunk } = {}) {
  const execution = new core.WorkflowExecute(given(sendChunk), "manual");
  const pinData = { [start.name]: texts.map((text) => ({ json: { text } })) };
  const { data } = await execution.run({ workflow: made, startNode: made.getNode(start.name), pinData });
  const { error, runData, lastNodeExecuted } = data.resultData;
  if (error) throw shown(error);
  return runData[lastNodeExecuted][0].data.main[0].map((item) => item.json);
}

// An error that n8n keeps as plain data: the line that it shows, and the one that it shows below it.
function shown({ name, message, description }) {
  const kinds = { [name]: class extends Error {} };
  return new kinds[name](description && description !== message ? `${message}: ${description}` : message);
}

// The request that a credential declares as its test, sent as the server sends it.
async function tested() {
  const property = { name: "test", type: "string", default: "", routing: credentialType.test };
  const description = { properties: [property], credentials: [{ name: CREDENTIAL, required: true }] };
  const probe = node("Test", start.type, start.typeVersion, { test: "" });
  const items = { main: [[{ json: {} }]] };
  const run = [createRunExecutionData(), 0, [], items, { data: items, node: probe, source: null }, []];
  const context = new core.ExecuteContext(workflow(chatModel), probe, given(), "internal", ...run);
  await new core.RoutingNode(context, { description }, { data: credential }).runNode();
  return "Connection tested successfully";
}

async function listed() {
  const context = new core.LoadOptionsContext(workflow(chatModel), chatModel, given(), "parameters.model");
  const { listSearch } = nodeTypes.getByName(chatModel.type).methods;
  return (await listSearch.searchModels.call(context)).results.map((found) => found.name);
}

async function whole() {
  const chain = node("Basic LLM Chain", `${AI}.chainLlm`, 1.9, HELLO);
  return (await executed(workflow(chain, { ai_languageModel: chatModel })))[0].text;
}

async function streamed() {
  const agent = node("AI Agent", agentV3.description.name, 3.1, HELLO);
  let text = "";
  const sendChunk = (chunk) => {
    if (chunk.type === "item") text += chunk.content;
  };
  await executed(workflow(agent, { ai_languageModel: chatModel }), { sendChunk });
  return text;
}

async function embedded() {
  const ai_embedding = node("Embeddings OpenAI", `${AI}.embeddingsOpenAi`, 1.2, { model: model("embeddings") });
  const ai_document = node("Default Data Loader", `${AI}.documentDefaultDataLoader`, 1.1);
  const store = node("Simple Vector Store", `${AI}.vectorStoreInMemory`, 1.3, { mode: "insert" });
  return (await executed(workflow(store, { ai_embedding, ai_document }), { texts: TEXTS })).length;
}

const asked = { messages: 1, max_tokens: 16 };
await call("OpenAI credential, its test", "models", {}, tested);
await call("OpenAI Chat Model, its list of models", "models", {}, listed);
await call("OpenAI Chat Model in a Basic LLM Chain", "chat", asked, whole);
await call("OpenAI Chat Model in an AI Agent, streaming", "chat", { ...asked, stream: true }, streamed);
await call("Embeddings OpenAI in a Simple Vector Store", "embeddings", { texts: TEXTS }, embedded);
