/* Near-duplicates: which pictures are one and the same, and only the first of them shown. */

import * as api from "./api.js";

const UNASKED = 20_000;
/* Images up to which the server is asked without being told to: finding duplicates takes it minutes beyond that. */
const PATIENCE = 300; // milliseconds that a first page waits for them

let groups = null; // image id → the files of its group
let asking = null;

/** Asks for the groups, once; the first answer waits a moment for them, but no longer, and no other waits at all. */
export function ready() {
  asking ??= Promise.race([ask().catch(() => {}), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  return asking;
}

/** Forgets them: pictures have come or gone. */
export function forget() {
  groups = null;
  asking = null;
}

async function ask() {
  const { images } = await api.stats();
  if (images > UNASKED) return;
  const found = await api.duplicates();
  groups = new Map();
  for (const group of found.groups) {
    if (group.image_ids.length > 1) for (const id of group.image_ids) groups.set(id, group);
  }
}

/**
 * Folds the pictures of a page: the first of each group keeps the others as `copies`, later ones are left out.
 * `shown` remembers the groups of the pages before.
 */
export function fold(items, shown) {
  if (groups === null) return items;
  return items.filter((item) => {
    const group = groups.get(item.id);
    if (group === undefined) return true;
    const first = shown.get(group);
    if (first === undefined) {
      shown.set(group, item);
      item.copies = copies(group, item);
      return true;
    }
    const copy = first.copies.find(({ id }) => id === item.id);
    if (copy === undefined) return true;
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
