// Flowise's nodes, as its server calls them: an LLM node with the ChatOpenAI model answers, whole and streamed.
// The server is left out. What it would give to the nodes is made here: a credential, encrypted as it keeps them.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { BASE_URL, KEY, MODEL, call } from "./said.mjs";

const require = createRequire(import.meta.url);
const nodes = join(dirname(require.resolve("flowise-components")), "../nodes");
const chatOpenAI = join(nodes, "chatmodels/ChatOpenAI/ChatOpenAI.js");
const { AES } = require("crypto-js");

process.env.FLOWISE_SECRETKEY_OVERWRITE = "gt-conformance";
process.env.MODEL_LIST_CONFIG_JSON = join(nodes, "../../models.json"); // else it is downloaded, to reckon a price
const encryptedData = AES.encrypt(JSON.stringify({ openAIApiKey: KEY }), "gt-conformance").toString();
const credential = { id: "gt", name: "GT", credentialName: "openAIApi", encryptedData };

// What a node starts with: the defaults of its fields, and what a user has entered.
const fields = (node, entered) => ({
  ...Object.fromEntries(node.inputs.filter((field) => "default" in field).map((field) => [field.name, field.default])),
  ...entered,
});

// A turn of an agentflow: the text that its LLM node gives. `streamed` puts together what the user sees meanwhile.
async function turn(streaming) {
  const node = new (require(join(nodes, "agentflow/LLM/LLM.js")).nodeClass)();
  const llmModelConfig = fields(new (require(chatOpenAI).nodeClass)(), {
    FLOWISE_CREDENTIAL_ID: credential.id,
    basepath: BASE_URL,
    modelName: MODEL,
    maxTokens: "16",
    streaming,
  });
  const inputs = fields(node, { llmModel: "chatOpenAI", llmModelConfig });
  let streamed = "";
  const hear = (event) => (_chat, text) => {
    if (event === "streamTokenEvent") streamed += text;
  };
  const answer = await node.run({ id: "llmAgentflow_0", label: "LLM", inputs }, "Say hello in one word.", {
    appDataSource: { getRepository: () => ({ findOneBy: async () => credential }) },
    databaseEntities: { Credential: "Credential" },
    componentNodes: { chatOpenAI: { filePath: chatOpenAI, label: "ChatOpenAI" } },
    agentflowRuntime: { state: {}, chatHistory: [] },
    prependedChatHistory: [],
    isLastNode: true,
    chatId: "gt-conformance",
    sseStreamer: new Proxy({}, { get: (_, event) => hear(event) }),
  });
  return streaming ? streamed : answer.output.content;
}

const asked = { messages: 1, max_tokens: 16 };
await call("ChatOpenAI in an LLM node", "chat", asked, () => turn(false));
await call("ChatOpenAI in an LLM node, streaming", "chat", { ...asked, stream: true }, () => turn(true));
