// n8n's HTTP Request node in its own execution engine: each request is a workflow of one, with the file as binary data.
import { BASE, executed, given, loaded, node, nodeTypesOf, workflow } from "./engine.mjs";
import { serve } from "./sending.mjs";

const nodeTypes = nodeTypesOf({ [BASE]: await loaded(BASE) });

async function send({ method, url, headers, json, file }) {
  const parameters = {
    method,
    url,
    sendHeaders: true,
    headerParameters: { parameters: Object.entries(headers).map(([name, value]) => ({ name, value })) },
    options: { response: { response: { fullResponse: true } } },
    ...body(json, file),
  };
  const last = node("HTTP Request", `${BASE}.httpRequest`, 4.5, parameters);
  const binary = file ? { data: binaryOf(file) } : undefined;
  const [answer] = await executed(workflow(nodeTypes, last), [{ json: {}, binary }], given({}));
  return { status: answer.statusCode, headers: answer.headers, text: answer.body ?? answer.data };
}

function body(json, file) {
  if (json) return { sendBody: true, contentType: "json", specifyBody: "json", jsonBody: json };
  if (!file) return {};
  const parameters = [{ parameterType: "formBinaryData", name: "file", inputDataFieldName: "data" }];
  return { sendBody: true, contentType: "multipart-form-data", bodyParameters: { parameters } };
}

function binaryOf({ name, content, kind }) {
  return { data: Buffer.from(content).toString("base64"), mimeType: kind, fileName: name };
}

await serve(send);
process.exit(0);
