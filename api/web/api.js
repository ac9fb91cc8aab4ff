/* The only file that talks to the server. Every function answers with the JSON of its route (see /openapi.json) or
   throws a Problem; those that take a `signal` can be aborted. */

/** A failed request. `status` 0 means that the server did not answer; `message` is meant for display. */
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

/** Dispatches "busy" (detail: seconds until the next attempt) and "offline". */
export const events = new EventTarget();

const KEY = "crosslook-key";
const MAX_RETRIES = 5; // of a request to a busy server

let key = sessionStorage.getItem(KEY);
let pendingKey = null; // promise of the key that the visitor is being asked for
let keyRequests = 0; // answered or dismissed so far
let askForKey = () => Promise.reject(new Error("nobody can be asked"));

/** Sets the function that asks for a key: it is told whether the last key was wrong, and promises the next one. */
export function keysFrom(ask) {
  askForKey = ask;
}

/** Whether pictures must be fetched with a key, which an <img> address cannot carry. */
export function keyed() {
  return key !== null;
}

// --- searching ---

/** Images for a sentence. `query`: text, k, where, image_id, without, depth, rerank, keywords, model. */
export function search(query, signal) {
  return json("/v1/search", { method: "POST", body: query, signal });
}

/** The next page of a search, by its `next_cursor`. */
export function nextPage(cursor, signal) {
  return json("/v1/search", { method: "POST", body: { cursor }, signal });
}

/** Images similar to an uploaded picture, optionally refined by words: `fields` has text, k, where, … */
export function searchByPicture(file, fields, signal) {
  return json("/v1/search/image", { method: "POST", body: form({ image: file, ...fields }), signal });
}

/** Images similar to an indexed one. */
export function similar(id, { k = 60, where = [] } = {}, signal) {
  return json(`/v1/images/${id}/similar${params({ k, where })}`, { signal });
}

/** Captions for a file, or for an image of the index by its id. */
export function captions(picture, { k = 5 } = {}, signal) {
  const what = typeof picture === "number" ? { image_id: picture } : { image: picture };
  return json("/v1/captions", { method: "POST", body: form({ ...what, k }), signal });
}

/** Attention maps of an image for each word of a sentence. */
export function explain(id, text, signal) {
  return json("/v1/explain", { method: "POST", body: { image_id: id, text }, signal });
}

// --- the index ---

/** A page of all images, newest first; with a cursor, the next page. */
export function images({ k = 100, where = [], cursor = null } = {}, signal) {
  return json(`/v1/images${params(cursor === null ? { k, where } : { cursor })}`, { signal });
}

/** An image's metadata. */
export function image(id, signal) {
  return json(`/v1/images/${id}`, { signal });
}

/** Counts of images for each filter value. */
export function facets(where = [], signal) {
  return json(`/v1/facets${params({ where })}`, { signal });
}

/** Groups of near-duplicates. */
export function duplicates(k = 1000, signal) {
  return json(`/v1/duplicates${params({ k })}`, { signal, isPatient: false });
}

/** What the index holds. */
export function stats(signal) {
  return json("/v1/stats", { signal });
}

/** The models of the index. */
export function models(signal) {
  return json("/v1/models", { signal });
}

// --- pictures ---

/** The address of a thumbnail; `size` is 128, 256, 512 or 1024, pixels of the longer side. */
export function thumbnailAddress(id, size) {
  return `/v1/images/${id}/thumbnail?size=${size}`;
}

/** The smallest thumbnail size that fills so many CSS pixels of the longer side. */
export function thumbnailSize(pixels) {
  const needed = pixels * Math.min(window.devicePixelRatio || 1, 2);
  return [128, 256, 512].find((size) => size >= needed * 0.9) ?? 1024;
}

/** The address of the file itself. */
export function fileAddress(id) {
  return `/v1/images/${id}/file`;
}

/** An indexed file, as a blob. */
export async function file(id, signal) {
  return (await ask(fileAddress(id), { signal })).blob();
}

/** Shows a picture of this server in an <img>; with a key, it is fetched and shown as a blob. */
export async function show(img, address, signal) {
  if (!keyed()) {
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

// --- asking ---

async function json(address, options) {
  return (await ask(address, options)).json();
}

async function ask(address, { method = "GET", body, signal, isPatient = true } = {}) {
  for (let waits = 0; ; ) {
    const sent = { key, keyRequests };
    const response = await send(address, { method, body, signal });
    if (response.ok) return response;
    const wait = response.headers.get("Retry-After");
    if ((response.status === 503 || response.status === 429) && wait !== null && isPatient && waits < MAX_RETRIES) {
      waits += 1;
      const seconds = Math.min(Number(wait) || 1, 60);
      events.dispatchEvent(new CustomEvent("busy", { detail: seconds }));
      await pause(seconds * 1000, signal);
      continue;
    }
    const problem = await read(response);
    if (response.status !== 401) throw problem;
    signal?.throwIfAborted();
    if (pendingKey !== null || keyRequests === sent.keyRequests) await newKey(problem);
    else if (key === sent.key) throw problem; // the visitor dismissed the dialog meanwhile
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

/** Asks for a key once, however many requests were refused. */
async function newKey(problem) {
  pendingKey ??= askForKey(key !== null)
    .then((newest) => {
      key = newest;
      sessionStorage.setItem(KEY, newest);
    })
    .finally(() => {
      pendingKey = null;
      keyRequests += 1;
    });
  try {
    await pendingKey;
  } catch {
    throw problem; // the visitor gave none
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
  for (const [name, value] of Object.entries(values)) for (const one of [value].flat()) entries.append(name, one);
  return entries.size ? `?${entries}` : "";
}

function form(values) {
  const entries = new FormData();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null) entries.append(name, one);
  }
  return entries;
}

// --- indexing (roots, jobs) ---

/** The folders that may be indexed. */
export function roots(signal) {
  return json("/v1/roots", { signal });
}

/** Starts indexing folders by id; `prune` removes images whose files are gone. */
export function startIndexing({ roots, prune = false }, signal) {
  return json("/v1/index", { method: "POST", body: { roots, prune }, signal });
}

/** The jobs since the server started, latest first. */
export function jobs(signal) {
  return json("/v1/jobs", { signal });
}

/** A job's progress and failed files. */
export function job(id, signal) {
  return json(`/v1/jobs/${id}`, { signal });
}

/** Cancels a job, which ends when the batch in flight is committed. */
export function cancelJob(id, signal) {
  return json(`/v1/jobs/${id}`, { method: "DELETE", signal });
}
