// n8n's own execution engine without its server: what that gives to the engine is made here, the nodes by their names.
import { createRequire } from "node:module";
import { dirname } from "node:path";

export const require = createRequire(import.meta.url);
export const core = require("n8n-core");
const { Workflow } = require("n8n-workflow");

export const BASE = "n8n-nodes-base";

export async function loaded(name) {
  const loader = new core.LazyPackageDirectoryLoader(dirname(require.resolve(`${name}/package.json`)));
  await loader.loadAll();
  return loader;
}

// The nodes of these packages; `more` are node types that stand in no package's list, each by its name.
export function nodeTypesOf(loaders, more = {}) {
  return {
    getByName(type) {
      const [, name, short] = type.match(/(.*)\.(.*)/);
      return loaders[name].getNode(short).type;
    },
    getByNameAndVersion(type, version) {
      if (type in more) return more[type];
      const found = this.getByName(type);
      return found.nodeVersions ? found.getNodeType(version) : found;
    },
  };
}

export function node(name, type, typeVersion, parameters = {}, credentials = undefined) {
  return { id: name, name, type, typeVersion, position: [0, 0], parameters, credentials };
}

export const start = node("Start", `${BASE}.manualTrigger`, 1);

// A workflow: `last`, with the start before it and `parts` below it, each by the kind of its connection.
export function workflow(nodeTypes, last, parts = {}) {
  const joined = Object.entries({ main: start, ...parts });
  const connections = joined.map(([type, { name }]) => [name, { [type]: [[{ node: last.name, type, index: 0 }]] }]);
  const nodes = [...joined.map(([, part]) => part), last];
  return new Workflow({ id: "gt", nodes, connections: Object.fromEntries(connections), active: false, nodeTypes });
}

// What the server gives to an execution. `sendChunk` is told the parts of an answer that streams.
export function given(credentialsHelper, sendChunk) {
  const hooks = new core.ExecutionLifecycleHooks("manual", "1", {});
  if (sendChunk) hooks.addHandler("sendChunk", sendChunk);
  const own = "http://127.0.0.1";
  return { credentialsHelper, hooks, streamingEnabled: true, webhookWaitingBaseUrl: own, formWaitingBaseUrl: own };
}

// The items that the last node gives for those that are pinned to the start. Throws what the user is shown.
export async function executed(made, items, additional) {
  const execution = new core.WorkflowExecute(additional, "manual");
  const pinData = { [start.name]: items };
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
