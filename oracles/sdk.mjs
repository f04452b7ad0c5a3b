// Drives the official Node SDK against one tenant and prints what it gave back, as JSON: test_openai_node.py judges it.
// Called with the base URL; the keys are in GT_KEY and GT_GONE, what to ask in ASKED.

import OpenAI from 'openai'

const [baseURL] = process.argv.slice(2)
const { model, unpublished, sayIt, weather, tool, texts } = JSON.parse(process.env.ASKED)
const client = new OpenAI({ baseURL, apiKey: process.env.GT_KEY, maxRetries: 0 })
const ask = (content, more = {}) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more })

async function streamed() {
  const pieces = []
  for await (const chunk of await ask(sayIt, { stream: true })) pieces.push(chunk.choices[0]?.delta?.content ?? '')
  return pieces.join('')
}

async function spoken() {
  const sound = await client.audio.speech.create({ model, voice: 'alloy', input: 'Good morning.', response_format: 'wav' })
  const file = await OpenAI.toFile(Buffer.from(await sound.arrayBuffer()), 'spoken.wav')
  return (await client.audio.transcriptions.create({ model, file })).text
}

async function refused(work) {
  try {
    await work()
  } catch (error) {
    return { kind: error.constructor.name, status: error.status, code: error.code }
  }
  return null
}

const chat = await ask(sayIt)
const called = await ask(weather, { tools: [tool] })
const helper = client.chat.completions.stream({ model, messages: [{ role: 'user', content: sayIt }] })
const vectors = async (more = {}) =>
  (await client.embeddings.create({ model, input: texts, ...more })).data.map((item) => item.embedding)
const gone = new OpenAI({ baseURL, apiKey: process.env.GT_GONE, maxRetries: 0 })

console.log(
  JSON.stringify({
    node: process.versions.node,
    models: (await client.models.list()).data.map((item) => item.id),
    chat: chat.choices[0].message.content,
    model: chat.model,
    stream: await streamed(),
    helper: (await helper.finalChatCompletion()).choices[0].message.content,
    call: called.choices[0].message.tool_calls[0].function,
    base64: await vectors(),
    float: await vectors({ encoding_format: 'float' }),
    transcription: await spoken(),
    image: (await client.images.generate({ model, prompt: 'a red square' })).data[0].b64_json.slice(0, 11),
    revoked: await refused(() => gone.models.list()),
    unpublished: await refused(() => ask(sayIt, { model: unpublished })),
  }),
)
