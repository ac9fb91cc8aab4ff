/* Result pages for a query: by words, by a picture, by both, or all pictures. */

import { where } from "./address.js";
import * as api from "./api.js";

const PAGE_SIZE = 60;
const BROWSE_PAGE_SIZE = 120;
const MIN_PER_HEADING = 10; // pictures, on average
const MAX_HITS = 1000; // of a picture query, which has no pages

/** Uploaded pictures by their key in the address. */
export const uploads = new Map();

/**
 * Returns a function that loads the next page for a state.
 *
 * It resolves to `items` (pictures), `last` (whether this is the last page), `query` (the words without exclusions),
 * `noMatch` (whether no picture is likely to match the words) and `milliseconds` (none when browsing).
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
    const query = { text, k: PAGE_SIZE, where: filters, ...(like === null ? {} : { image_id: like }) };
    const page = await (cursor === null ? api.search(query, signal) : api.nextPage(cursor, signal));
    cursor = page.next_cursor;
    return resultPage(page, cursor === null, true);
  };
}

/** Loads an answer without pages in two steps: first as much as a page, then everything. */
function inTwoSteps(request, words) {
  let k = PAGE_SIZE;
  let previous = new Set();
  return async (signal) => {
    const page = await request(k, signal);
    const last = page.hits.length < k || k === MAX_HITS;
    page.hits = page.hits.filter((hit) => !previous.has(hit.image_id));
    previous = new Set(page.hits.map((hit) => hit.image_id));
    k = MAX_HITS;
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
  let section = null; // returns the heading for a capture time
  return async (signal) => {
    const page = await api.images({ k: BROWSE_PAGE_SIZE, where: filters, cursor }, signal);
    cursor = page.next_cursor;
    section ??= headings(page.images);
    const items = page.images.map((image) =>
      item(image.id, image, { taken: image.taken_at, section: section(image.taken_at) }),
    );
    return { items, last: cursor === null };
  };
}

/** Headings by month, by year if months have few pictures, or none. Decided on the first page, so that they stay. */
function headings(images) {
  const year = (taken) => (taken === null ? month(null) : taken.slice(0, 4));
  for (const unit of [month, year]) {
    const times = images.map(({ taken_at }) => taken_at && unit(taken_at)).filter(Boolean);
    if (times.length && times.length / new Set(times).size >= MIN_PER_HEADING) return unit;
  }
  return () => null;
}

function resultPage(page, last, words) {
  const items = page.hits.map((hit) =>
    item(hit.image_id, hit, { hit: { ...hit, describes: page.describes, noMatch: page.no_match } }),
  );
  return { items, last, query: words ? page.query : "", noMatch: page.no_match, milliseconds: page.timings_ms.total };
}

function item(id, { path, width, height }, more) {
  return { id, path, name: path.split(/[\\/]/).pop(), width, height, taken: null, hit: null, section: null, ...more };
}

const MONTH = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

/** "June 2024". */
export function month(taken) {
  return taken === null ? "Without a date" : MONTH.format(new Date(`${taken.slice(0, 7)}-01T00:00:00Z`));
}
