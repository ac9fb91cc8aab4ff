/* The only file that sends requests, all to addresses relative to the page. Each function resolves to the JSON of its route (see openapi.json) or throws a
   Problem; `signal` aborts it. */

/** A failed request. `status` is 0 if the server did not respond; `message` is for display. */
export class Problem extends Error {
  constructor(status, detail, type = "") {
    super(detail.charAt(0).toUpperCase() + detail.slice(1));
    this.name = "Problem";
    this.status = status;
    this.type = type;
  }

  get offline() {
    return this.status === 0;
  }
}

/** Dispatches "busy" (detail: seconds until the next retry) and "offline". */
export const events = new EventTarget();

const KEY = "crosslook-key";
const MAX_RETRIES = 5; // of a request to a busy server

let key = sessionStorage.getItem(KEY);
let pendingKey = null; // promise of a key, while the dialog is open
let keyRequests = 0; // dialogs answered or dismissed so far
let askForKey = () => Promise.reject(new Error("no key dialog"));

/** Sets the function that asks for a key. Its argument says whether the previous key was refused. */
export function setKeyDialog(dialog) {
  askForKey = dialog;
}

/** Whether pictures must be fetched with a key, which an <img> cannot send. */
export function hasKey() {
  return key !== null;
}

// --- searching ---

/** Images for a sentence. `query`: text, k, where, image_id, without, depth, rerank, keywords, model. */
export function search(query, signal) {
  return json("v1/search", { method: "POST", body: query, signal });
}

/** The next page of a search, by its `next_cursor`. */
export function nextPage(cursor, signal) {
  return json("v1/search", { method: "POST", body: { cursor }, signal });
}

/** Images similar to an uploaded picture, optionally refined by words: `fields` has text, k, where, … */
export function searchByPicture(file, fields, signal) {
  return json("v1/search/image", { method: "POST", body: form({ image: file, ...fields }), signal });
}

/** Images similar to an indexed one. */
export function similar(id, { k = 60, where = [] } = {}, signal) {
  return json(`v1/images/${id}/similar${params({ k, where })}`, { signal });
}

/** Captions for a file, or for an image of the index by its id. */
export function captions(picture, { k = 5 } = {}, signal) {
  const source = typeof picture === "number" ? { image_id: picture } : { image: picture };
  return json("v1/captions", { method: "POST", body: form({ ...source, k }), signal });
}

/** Attention maps of an image for each word of a sentence. */
export function explain(id, text, signal) {
  return json("v1/explain", { method: "POST", body: { image_id: id, text }, signal });
}

// --- the index ---

/** A page of all images, newest first; with a cursor, the next page. */
export function images({ k = 100, where = [], cursor = null } = {}, signal) {
  return json(`v1/images${params(cursor === null ? { k, where } : { cursor })}`, { signal });
}

/** An image's metadata. */
export function image(id, signal) {
  return json(`v1/images/${id}`, { signal });
}

/** Counts of images for each filter value. */
export function facets(where = [], signal) {
  return json(`v1/facets${params({ where })}`, { signal });
}

/** Groups of near-duplicates; not retried while the server is busy. */
export function duplicates(k = 1000, signal) {
  return json(`v1/duplicates${params({ k })}`, { signal, retry: false });
}

/** What the index holds. */
export function stats(signal) {
  return json("v1/stats", { signal });
}

/** The models of the index. */
export function models(signal) {
  return json("v1/models", { signal });
}

// --- pictures ---

/** The address of a thumbnail; `size` is 128, 256, 512 or 1024, pixels of the longer side. */
export function thumbnailAddress(id, size) {
  return `v1/images/${id}/thumbnail?size=${size}`;
}

/** The smallest thumbnail size that fills so many CSS pixels of the longer side. */
export function thumbnailSize(pixels) {
  const needed = pixels * Math.min(window.devicePixelRatio || 1, 2);
  return [128, 256, 512].find((size) => size >= needed * 0.9) ?? 1024;
}

/** The address of an indexed file. */
export function fileAddress(id) {
  return `v1/images/${id}/file`;
}

/** An indexed file, as a blob. */
export async function file(id, signal) {
  return (await ask(fileAddress(id), { signal })).blob();
}

/** A picture at an address of this origin, as a file. */
export async function picture(address) {
  const blob = await (await ask(address)).blob();
  return new File([blob], "the dragged one", { type: blob.type });
}

/** Shows a picture of this server in an <img>; with a key, it is fetched and shown as a blob. */
export async function show(img, address, signal) {
  if (!hasKey()) {
    img.src = address;
    return;
  }
  try {
    const url = URL.createObjectURL(await (await ask(address, { signal })).blob());
    const revoke = () => URL.revokeObjectURL(url);
    img.addEventListener("load", revoke, { once: true });
    img.addEventListener("error", revoke, { once: true });
    signal?.addEventListener("abort", revoke, { once: true });
    img.src = url;
  } catch (error) {
    if (error.name !== "AbortError") img.dispatchEvent(new Event("error"));
  }
}

// --- requests ---

async function json(address, options) {
  return (await ask(address, options)).json();
}

async function ask(address, { method = "GET", body, signal, retry = true } = {}) {
  for (let retries = 0; ; ) {
    const sent = { key, keyRequests };
    const response = await send(address, { method, body, signal });
    if (response.ok) return response;
    const wait = response.headers.get("Retry-After");
    if ((response.status === 503 || response.status === 429) && wait !== null && retry && retries < MAX_RETRIES) {
      retries += 1;
      const seconds = Math.min(Number(wait) || 1, 60);
      events.dispatchEvent(new CustomEvent("busy", { detail: seconds }));
      await pause(seconds * 1000, signal);
      continue;
    }
    const problem = await read(response);
    if (response.status !== 401) throw problem;
    signal?.throwIfAborted();
    if (pendingKey !== null || keyRequests === sent.keyRequests) await requestKey(problem);
    else if (key === sent.key) throw problem; // the dialog was dismissed meanwhile
    signal?.throwIfAborted();
  }
}

async function send(address, { method, body, signal }) {
  const headers = { Accept: "application/json" };
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  try {
    return await fetch(address, {
      method,
      headers,
      body: isForm || body === undefined ? body : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    events.dispatchEvent(new Event("offline"));
    throw new Problem(0, "The server does not answer. Is it still running?");
  }
}

/** Asks for a key once, however many requests are refused. */
async function requestKey(problem) {
  pendingKey ??= askForKey(key !== null)
    .then((newKey) => {
      key = newKey;
      sessionStorage.setItem(KEY, newKey);
    })
    .finally(() => {
      pendingKey = null;
      keyRequests += 1;
    });
  try {
    await pendingKey;
  } catch {
    throw problem; // no key was entered
  }
}

async function read(response) {
  try {
    const { detail, type } = await response.json();
    return new Problem(response.status, detail, type);
  } catch {
    return new Problem(response.status, `The server answered ${response.status} ${response.statusText}.`);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function params(values) {
  const entries = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) for (const item of [value].flat()) entries.append(name, item);
  return entries.size ? `?${entries}` : "";
}

function form(values) {
  const entries = new FormData();
  for (const [name, value] of Object.entries(values)) {
    for (const item of [value].flat()) if (item !== undefined && item !== null) entries.append(name, item);
  }
  return entries;
}

// --- indexing (roots, jobs) ---

/** The folders that may be indexed. */
export function roots(signal) {
  return json("v1/roots", { signal });
}

/** Starts indexing folders by id; `prune` removes images whose files are gone. */
export function startIndexing({ roots, prune = false }, signal) {
  return json("v1/index", { method: "POST", body: { roots, prune }, signal });
}

/** The jobs since the server started, latest first. */
export function jobs(signal) {
  return json("v1/jobs", { signal });
}

/** A job's progress and failed files. */
export function job(id, signal) {
  return json(`v1/jobs/${id}`, { signal });
}

/** Cancels a job; it ends once its current batch is committed. */
export function cancelJob(id, signal) {
  return json(`v1/jobs/${id}`, { method: "DELETE", signal });
}
