// What a driver in JavaScript says: one JSON line for each call that it asked of the client.

export const BASE_URL = process.env.GT_BASE_URL;
export const KEY = process.env.GT_API_KEY;
export const MODEL = process.env.GT_MODEL;
const LONGEST = 2000;

// The published name for embeddings, transcription, speech or image: the chat's where there is no other.
export const model = (modality) => process.env[`GT_MODEL_${modality.toUpperCase()}`] ?? MODEL;

// Ask the client for something, and say what it returned or raised; `make` returns what a user would have in hand:
// the text, the number of bytes, how many names. `route` is the short id of the route that the call is about, or null.
export async function call(name, route, asked, make) {
  let returned = null;
  let raised = null;
  try {
    returned = await make();
  } catch (error) {
    const message = String(error?.message ?? error).slice(0, LONGEST);
    raised = { type: error?.constructor?.name ?? typeof error, message };
  }
  const short = typeof returned === "string" ? returned.slice(0, LONGEST) : returned;
  process.stdout.write(`${JSON.stringify({ call: name, route, asked, returned: short ?? null, raised })}\n`);
  return returned;
}
