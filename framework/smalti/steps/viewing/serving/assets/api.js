// What the server is asked. Pixels are kept for a while, so that going back is at once.

const ROOM = 160e6;
const kept = new Map();
let weight = 0;

export class Refusal extends Error {
  constructor(told) {
    super([told.what, told.why, told.fix].filter(Boolean).join("\n"));
  }
}

async function fetched(name, words, init) {
  const query = new URLSearchParams(words).toString();
  const response = await fetch("api/" + name + (query ? "?" + query : ""), init);
  if (!response.ok) throw new Refusal(await response.json().catch(() => ({ what: "The server does not answer." })));
  return response;
}

export async function ask(name, words = {}, init = {}) {
  return (await fetched(name, words, init)).json();
}

export function send(name, words, body) {
  return ask(name, words, { method: "POST", body: JSON.stringify(body) });
}

export async function bytes(name, words, init = {}) {
  const response = await fetched(name, words, init);
  return { data: new Uint8Array(await response.arrayBuffer()), headers: response.headers };
}

// What is known of a picture: file, angles, limits of contrast.
const told = new Map();
export function about(words) {
  const key = new URLSearchParams(words).toString();
  if (!told.has(key)) {
    const promise = ask("about", words);
    promise.catch(() => told.delete(key));
    told.set(key, promise);
    if (told.size > 2000) told.delete(told.keys().next().value);
  }
  return told.get(key);
}

// Pixels of a level: { data, width, height, divisor, lowest }.
export function pixels(words, step = 0) {
  const key = new URLSearchParams(words).toString();
  const known = kept.get(key);
  if (known) {
    kept.delete(key);
    kept.set(key, known);
    return known.promise;
  }
  const entry = { size: 0, promise: null };
  entry.promise = load(step ? { ...words, step } : words).then((found) => {
    entry.size = found.data.byteLength;
    weight += entry.size;
    trim();
    return found;
  });
  entry.promise.catch(() => kept.delete(key));
  kept.set(key, entry);
  return entry.promise;
}

async function load(words) {
  const { data, headers } = await bytes("pixels", words);
  const [height, width] = headers.get("X-Shape").split(",").map(Number);
  const narrow = headers.get("X-Type") === "int16";
  return {
    data: narrow ? new Int16Array(data.buffer) : new Int32Array(data.buffer),
    width, height, narrow,
    divisor: Number(headers.get("X-Divisor")),
    lowest: narrow ? -32768 : -2147483648,
  };
}

function trim() {
  for (const [key, entry] of kept) {
    if (weight <= ROOM) return;
    if (!entry.size) continue;
    weight -= entry.size;
    kept.delete(key);
  }
}
