/* Pictures for a question, page after page: by words, by a picture, by both, or simply all of them. */

import { where } from "./address.js";
import * as api from "./api.js";

const PAGE = 60;
const BROWSED = 120;
const ENOUGH = 10; // pictures that a heading should stand over
const DEEPEST = 1000; // hits that the server gives for a picture; there it has no pages

/** Pictures that were dropped here, by the name that the address has for them. */
export const uploads = new Map();

/**
 * Finds out how to go on with a question.
 *
 * Returns a function that promises the next page: `items` (pictures), `last` (nothing comes after), and about the whole
 * answer `query` (the words without what is taken away) and `milliseconds`.
 */
export function resultPages(state) {
  const text = state.q.trim();
  if (state.upload) return byUpload(uploads.get(state.upload), text, where(state));
  if (text) return byWords(text, state.like, where(state));
  if (state.like) return byLikeness(state.like, where(state));
  return browsing(where(state));
}

function byWords(text, like, filters) {
  let cursor = null;
  return async (signal) => {
    const query = { text, k: PAGE, where: filters, ...(like === null ? {} : { image_id: like }) };
    const page = await (cursor === null ? api.search(query, signal) : api.nextPage(cursor, signal));
    cursor = page.next_cursor;
    return resultPage(page, cursor === null, true);
  };
}

/** Without pages there are two steps: what fits on a screen at once, and then all that there is. */
function inTwoSteps(ask, words) {
  let k = PAGE;
  let previous = new Set();
  return async (signal) => {
    const page = await ask(k, signal);
    const last = page.hits.length < k || k === DEEPEST;
    page.hits = page.hits.filter((hit) => !previous.has(hit.image_id));
    previous = new Set(page.hits.map((hit) => hit.image_id));
    k = DEEPEST;
    return resultPage(page, last, words);
  };
}

function byLikeness(id, filters) {
  return inTwoSteps((k, signal) => api.similar(id, { k, where: filters }, signal), false);
}

function byUpload(file, text, filters) {
  const words = text ? { text } : {};
  return inTwoSteps((k, signal) => api.searchByPicture(file, { ...words, k, where: filters }, signal), text !== "");
}

function browsing(filters) {
  let cursor = null;
  let section = null; // the heading for a time
  return async (signal) => {
    const page = await api.images({ k: BROWSED, where: filters, cursor }, signal);
    cursor = page.next_cursor;
    section ??= headings(page.images);
    const items = page.images.map((image) =>
      item(image.id, image, { taken: image.taken_at, section: section(image.taken_at) }),
    );
    return { items, last: cursor === null };
  };
}

/** Months, or where they hold few pictures years, or none; as the first page says, so that headings do not change. */
function headings(images) {
  const year = (taken) => (taken === null ? month(null) : taken.slice(0, 4));
  for (const unit of [month, year]) {
    const times = images.map(({ taken_at }) => taken_at && unit(taken_at)).filter(Boolean);
    if (times.length && times.length / new Set(times).size >= ENOUGH) return unit;
  }
  return () => null;
}

function resultPage(page, last, words) {
  const items = page.hits.map((hit) => item(hit.image_id, hit, { hit }));
  return { items, last, query: words ? page.query : "", milliseconds: page.timings_ms.total };
}

function item(id, { path, width, height }, more) {
  return { id, path, name: path.split(/[\\/]/).pop(), width, height, taken: null, hit: null, section: null, ...more };
}

const MONTH = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

/** "June 2024". */
export function month(taken) {
  return taken === null ? "Without a date" : MONTH.format(new Date(`${taken.slice(0, 7)}-01T00:00:00Z`));
}
