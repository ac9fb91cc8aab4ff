/* Near-duplicates: groups of pictures of which only the first is shown. */

import { filtered, read } from "./address.js";
import * as api from "./api.js";

const MAX_IMAGES = 20_000;
/* With more images in the index nothing is folded: the server would compute duplicates for minutes, slowing all searches,
   each time the index has changed. */
const MAX_WAIT = 300; // milliseconds that the first page waits for the groups
const RETRY_DELAY = 10_000; // milliseconds, the Retry-After of a busy server

let groups = null; // image id → its group
let loading = null; // promise
let waiting = null; // promise
let generation = 0; // incremented by forget(), so that earlier answers are ignored

/** Whether the groups are known. */
export function known() {
  return groups !== null;
}

/** Loads the groups; resolves when they are known or loading has failed. After a failure it can be called again. */
export function arrival() {
  const startedIn = generation;
  loading ??= load(startedIn).catch(() => {
    if (startedIn === generation) loading = null;
  });
  return loading;
}

/** Resolves when the groups are known, or after MAX_WAIT: the first page waits only briefly. */
export function ready() {
  waiting ??= Promise.race([arrival(), new Promise((resolve) => setTimeout(resolve, MAX_WAIT))]);
  return waiting;
}

/** Forgets the groups, because the index has changed. */
export function forget() {
  groups = null;
  loading = null;
  waiting = null;
  generation += 1;
}

async function load(startedIn) {
  const { images } = await api.stats();
  if (images > MAX_IMAGES) return;
  const answer = await fetchGroups(startedIn);
  if (startedIn !== generation) return;
  groups = new Map();
  for (const group of answer.groups) {
    if (group.image_ids.length > 1) for (const id of group.image_ids) groups.set(id, group);
  }
}

/** The server finds duplicates for one client at a time; the others retry. */
async function fetchGroups(startedIn) {
  for (;;) {
    try {
      return await api.duplicates();
    } catch (problem) {
      if (problem.status !== 503 || startedIn !== generation) throw problem;
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY));
    }
  }
}

/**
 * Folds the pictures of a page: the first of each group gets the others as `copies`, and those are left out.
 *
 * `shown` maps each group on earlier pages to its first picture. The first `seen` pictures of `items` are on the screen
 * already and are kept. With filters, only copies that match them count, so they are taken from the answer.
 */
export function fold(items, shown, seen = 0) {
  if (groups === null) return items;
  const isFiltered = filtered(read()) > 0;
  return items.filter((item, index) => {
    const group = groups.get(item.id);
    if (group === undefined) return true;
    const first = shown.get(group);
    if (first === undefined) {
      shown.set(group, item);
      item.copies = isFiltered ? [] : copies(group, item);
      return true;
    }
    if (isFiltered && index >= seen) {
      first.copies.push({ ...item, section: null });
      return false;
    }
    const copy = first.copies.find(({ id }) => id === item.id);
    if (copy === undefined) return true;
    if (index < seen) {
      first.copies = first.copies.filter((other) => other !== copy);
      return true;
    }
    copy.hit = item.hit;
    return false;
  });
}

function copies(group, item) {
  const others = new Map();
  for (const { image_id, path, width, height } of group.files) {
    if (image_id !== item.id && !others.has(image_id)) {
      const name = path.split(/[\\/]/).pop();
      others.set(image_id, { id: image_id, path, name, width, height, taken: null, hit: null, section: null });
    }
  }
  return [...others.values()];
}
