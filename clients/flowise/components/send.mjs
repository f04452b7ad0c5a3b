// Flowise's HTTP node sends what has JSON or no body. Its form holds text alone, so a Custom Tool uploads, as the runbook
// says: Flowise runs the tool's code in its sandbox, and lends it the axios that checks every address.
// The server is left out. What it would give to the tool is made here: the tool as it keeps it.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { serve } from "./sending.mjs";

const require = createRequire(import.meta.url);
const nodes = join(dirname(require.resolve("flowise-components")), "../nodes");
const made = (path) => new (require(join(nodes, path)).nodeClass)();

const INPUTS = ["url", "headers", "name", "content", "kind"];
const CODE = `
const axios = require("axios");
const mark = "gt-conformance-" + Math.random().toString(16).slice(2);
const described = 'Content-Disposition: form-data; name="file"; filename="' + $name + '"\\r\\nContent-Type: ' + $kind;
const answer = await axios({
  method: "POST",
  url: $url,
  headers: { ...JSON.parse($headers), "Content-Type": "multipart/form-data; boundary=" + mark },
  data: "--" + mark + "\\r\\n" + described + "\\r\\n\\r\\n" + $content + "\\r\\n--" + mark + "--\\r\\n",
});
return JSON.stringify({ status: answer.status, headers: answer.headers, text: answer.data });
`;
const kept = {
  name: "upload",
  description: "Uploads a text file to GT",
  schema: JSON.stringify(INPUTS.map((property) => ({ property, type: "string", description: property, required: true }))),
  func: CODE,
};
const server = {
  appDataSource: { getRepository: () => ({ findOneBy: async () => kept }) },
  databaseEntities: { Tool: "Tool" },
};

async function posted({ method, url, headers, json }) {
  const entered = Object.entries(headers).map(([key, value]) => ({ key, value }));
  const inputs = { method, url, headers: entered, ...(json ? { bodyType: "json", body: json } : {}), responseType: "json" };
  const { output } = await made("agentflow/HTTP/HTTP.js").run({ id: "httpAgentflow_0", label: "HTTP", inputs }, "", {
    agentflowRuntime: { state: {} },
  });
  const { status, headers: answered, data } = output.http;
  return { status, headers: answered, text: data };
}

async function uploaded({ url, headers, file }) {
  const tool = await made("tools/CustomTool/CustomTool.js").init({ inputs: { selectedTool: "gt" } }, "", server);
  const { name, content, kind } = file;
  return JSON.parse(await tool.call({ url, headers: JSON.stringify(headers), name, content, kind }));
}

await serve((request) => (request.file ? uploaded(request) : posted(request)));
process.exit(0);
