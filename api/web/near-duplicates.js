/* Near-duplicates: which pictures are one and the same, and only the first of them shown. */

import { filtered, read } from "./address.js";
import * as api from "./api.js";

const MOST = 20_000;
/* Images up to which pictures are folded: beyond that the server would search for duplicates for minutes, at the cost of
   every search meanwhile, each time that the index has changed. */
const PATIENCE = 300; // milliseconds that a first page waits for them
const AGAIN = 10_000; // milliseconds after which a busy server is asked again, as it says itself

let groups = null; // image id → the files of its group
let asking = null;
let patience = null;
let generation = 0; // goes up with each forgetting, so that groups of before are not taken for those of now

/** Whether the groups are known. */
export function known() {
  return groups !== null;
}

/** Asks for the groups, and resolves when they are known; also where that failed, and then it can be tried again. */
export function arrival() {
  const of = generation;
  asking ??= ask(of).catch(() => {
    if (of === generation) asking = null;
  });
  return asking;
}

/** Resolves when the groups are known, and after a moment anyway: pictures should not wait for them, but for once. */
export function ready() {
  patience ??= Promise.race([arrival(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  return patience;
}

/** Forgets them: pictures have come or gone. */
export function forget() {
  groups = null;
  asking = null;
  patience = null;
  generation += 1;
}

async function ask(of) {
  const { images } = await api.stats();
  if (images > MOST) return;
  const answer = await fetchGroups(of);
  if (of !== generation) return;
  groups = new Map();
  for (const group of answer.groups) {
    if (group.image_ids.length > 1) for (const id of group.image_ids) groups.set(id, group);
  }
}

/** The server finds duplicates for one at a time; others come back. */
async function fetchGroups(of) {
  for (;;) {
    try {
      return await api.duplicates();
    } catch (problem) {
      if (problem.status !== 503 || of !== generation) throw problem;
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}

/**
 * Folds the pictures of a page: the first of each group keeps the others as `copies`, later ones are left out.
 * `shown` remembers the groups of the pages before. The first `seen` pictures stay, for people have seen them already.
 * Where filters are chosen, only copies that pass them count, which are those that the answer holds.
 */
export function fold(items, shown, seen = 0) {
  if (groups === null) return items;
  const isFiltered = filtered(read()) > 0;
  return items.filter((item, place) => {
    const group = groups.get(item.id);
    if (group === undefined) return true;
    const first = shown.get(group);
    if (first === undefined) {
      shown.set(group, item);
      item.copies = isFiltered ? [] : copies(group, item);
      return true;
    }
    if (isFiltered && place >= seen) {
      first.copies.push({ ...item, section: null });
      return false;
    }
    const copy = first.copies.find(({ id }) => id === item.id);
    if (copy === undefined) return true;
    if (place < seen) {
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
