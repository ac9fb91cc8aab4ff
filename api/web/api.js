/* The only file that talks to the server. Every function answers with the JSON of its route (see /openapi.json) or
   throws a Problem; those that take a `signal` can be aborted. */

/** What went wrong: `status` 0 means that nobody answered. `message` is for people. */
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

/** Tells "busy" (detail: seconds until it is asked again) and "offline". */
export const events = new EventTarget();

const KEY = "crosslook-key";
const MAX_RETRIES = 5; // times that a busy server is asked again

let key = sessionStorage.getItem(KEY);
let pendingKey = null; // promises the key that people are being asked for
let keyRequests = 0; // that they were asked, and gave one or none
let askForKey = () => Promise.reject(new Error("nobody can be asked"));

/** Says who asks people for a key: a function of whether there was one that is wrong, which promises the next. */
export function keysFrom(ask) {
  askForKey = ask;
}

/** Whether pictures must be fetched with a key, which an address cannot carry. */
export function keyed() {
  return key !== null;
}

// --- searching ---

/** Images for a sentence. `query`: text, k, where, image_id, without, depth, rerank, keywords, model. */
export function search(query, signal) {
  return json("/v1/search", { method: "POST", body: query, signal });
}

/** The page behind a `next_cursor` of `search`. */
export function nextPage(cursor, signal) {
  return json("/v1/search", { method: "POST", body: { cursor }, signal });
}

/** Images like a picture that is sent, or for it and words: `fields` has text, k, where, … */
export function searchByPicture(file, fields, signal) {
  return json("/v1/search/image", { method: "POST", body: form({ image: file, ...fields }), signal });
}

/** Images like one of the index. */
export function similar(id, { k = 60, where = [] } = {}, signal) {
  return json(`/v1/images/${id}/similar${params({ k, where })}`, { signal });
}

/** Captions for a file, or for an image of the index by its id. */
export function captions(picture, { k = 5 } = {}, signal) {
  const what = typeof picture === "number" ? { image_id: picture } : { image: picture };
  return json("/v1/captions", { method: "POST", body: form({ ...what, k }), signal });
}

/** Where in an image each word of a sentence is seen. */
export function explain(id, text, signal) {
  return json("/v1/explain", { method: "POST", body: { image_id: id, text }, signal });
}

// --- the index ---

/** A page of all images, the newest first; with a cursor the page that it stands for. */
export function images({ k = 100, where = [], cursor = null } = {}, signal) {
  return json(`/v1/images${params(cursor === null ? { k, where } : { cursor })}`, { signal });
}

/** All that is known about an image. */
export function image(id, signal) {
  return json(`/v1/images/${id}`, { signal });
}

/** How many images each value of a filter would leave. */
export function facets(where = [], signal) {
  return json(`/v1/facets${params({ where })}`, { signal });
}

/** Groups of files that show one picture. */
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

/** Where a thumbnail lies; `size` is 128, 256, 512 or 1024, pixels of the longer side. */
export function thumbnailAddress(id, size) {
  return `/v1/images/${id}/thumbnail?size=${size}`;
}

/** The least size of thumbnail that fills so many CSS pixels of the longer side. */
export function thumbnailSize(pixels) {
  const needed = pixels * Math.min(window.devicePixelRatio || 1, 2);
  return [128, 256, 512].find((size) => size >= needed * 0.9) ?? 1024;
}

/** Where the file itself lies. */
export function fileAddress(id) {
  return `/v1/images/${id}/file`;
}

/** A file of the index, as a blob. */
export async function file(id, signal) {
  return (await ask(fileAddress(id), { signal })).blob();
}

/** Shows what lies at an address of this server in an <img>; with a key it is fetched and becomes a blob. */
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
    else if (key === sent.key) throw problem; // whoever was asked meanwhile had none
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
    throw problem; // nobody has one
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

/** Begin to index folders, by their ids; `prune` forgets images whose files are gone. */
export function startIndexing({ roots, prune = false }, signal) {
  return json("/v1/index", { method: "POST", body: { roots, prune }, signal });
}

/** The jobs since the server started, the latest first. */
export function jobs(signal) {
  return json("/v1/jobs", { signal });
}

/** How far a job is, and which files failed. */
export function job(id, signal) {
  return json(`/v1/jobs/${id}`, { signal });
}

/** Tell a job to stop; it ends when the batch in flight is committed. */
export function cancelJob(id, signal) {
  return json(`/v1/jobs/${id}`, { method: "DELETE", signal });
}
