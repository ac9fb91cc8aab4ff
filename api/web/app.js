/* Starts the page and connects its parts. The address determines what is shown: every action changes it, and `render`
   updates the page. */

import { address, DEFAULT_STATE, queryKey, read, where } from "./address.js";
import * as api from "./api.js";
import { acceptPictures } from "./drop.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { askForKey } from "./key-dialog.js";
import { announcement, emptyState, failureState } from "./messages.js";
import * as nearDuplicates from "./near-duplicates.js";
import { picturePage } from "./picture.js";
import { queryPicture } from "./query-picture.js";
import { resultPages, uploads } from "./result-pages.js";
import { searchField } from "./search-field.js";
import { shortcuts, themeButton } from "./shortcuts.js";
import { busy, clearTrouble, notify, say, showState, showSummary, showVerdict } from "./status.js";
import { timeline } from "./timeline.js";
import { views } from "./views.js";

const MAX_CACHED = 12; // maximum number of answers kept for going back, and of uploads
const RETRY_DELAY = 3000; // milliseconds after a request that got no answer

const field = document.getElementById("q");
const main = document.getElementById("results");
const timelineHost = document.getElementById("timeline");
const count = new Intl.NumberFormat();

let state = read();

// --- parts ---

const tiles = grid(document.getElementById("grid"), {
  link: (item) => address({ ...state, picture: item.id }),
  open: (item) => go({ picture: item.id }, { opened: true }),
  more: () => hasPageFailed || more(),
  scrolled: (item) => timelineBar.showPosition(item?.taken ?? null),
  say,
});
const pictureDialog = picturePage(document.getElementById("picture"), {
  around: tiles.around,
  go: (id) => go({ picture: id }, { replace: true }),
  leave: () => (history.state?.opened ? history.back() : go({ picture: null }, { replace: true })),
  like: (id) => go({ ...DEFAULT_STATE, like: id }),
  search: (text) => go({ ...DEFAULT_STATE, q: text }),
  say,
});
const searchBox = searchField(field, {
  search: (q, options) => go({ q, picture: null, view: state.view === "compare" ? "compare" : null }, options),
  clearText: () => go({ q: "" }),
  clearQuery: () => go({ q: "", like: null, upload: null }),
  enterGrid: () => tiles.enter(),
});
const drawFilters = filters(document.getElementById("filters"), { facets: api.facets, change: go });
const timelineBar = timeline(timelineHost, { facets: api.facets, change: go });
const drawQueryPicture = queryPicture(document.getElementById("query-picture"), {
  search: (text) => go({ ...DEFAULT_STATE, q: text }),
  remove: () => go({ like: null, upload: null }),
});
acceptPictures({
  take(file) {
    const name = Math.random().toString(36).slice(2, 10);
    uploads.set(name, file);
    limit(uploads);
    go({ like: null, upload: name, picture: null, view: null });
  },
  refuse: (why) => notify(why, { kind: "bad", seconds: 6 }),
  fetchPicture: api.picture,
});

// --- the address ---

/** Changes the state. `opened` records that closing the picture means going back. */
function go(changes, { replace = false, opened = history.state?.opened && replace } = {}) {
  const previous = state;
  const typed = searchBox.takePending();
  keepShown();
  state = { ...state, ...(typed === null || changes.picture ? {} : { q: typed }), ...changes };
  const entry = { opened: Boolean(opened) };
  if (address(state) === address(previous)) {
    if ("q" in changes) searchBox.show(state);
    return;
  }
  if (replace) history.replaceState(entry, "", address(state));
  else history.pushState(entry, "", address(state));
  render(previous);
}

window.addEventListener("popstate", () => {
  const previous = state;
  searchBox.takePending();
  keepShown();
  state = read();
  render(previous);
});

history.scrollRestoration = "manual";

// --- searching ---

let shownKey = null; // query key of the shown pictures
let pendingKey = null; // query key of the request in flight
let isPresented = false; // the last query was answered, and its answer presented
let hasFailed = false; // an error is shown instead of pictures
let nextPage = null; // loads the next page of the shown answer
let groups = new Map(); // near-duplicates within the shown answer
let pending = new AbortController();
let isLoading = false; // the next page
let hasPageFailed = false; // the next page failed; scrolling does not retry it
const cache = new Map(); // query key → the pictures shown for it, and the scroll position

/** Loads the pictures for the current state; `refresh` ignores the cache. */
async function load({ refresh = false } = {}) {
  const key = queryKey(state);
  const { signal } = abortPending();
  const hadFocus = document.activeElement !== document.body;
  hasPageFailed = false;
  isPresented = false;
  if (refresh) cache.delete(key);
  else if (restore(key)) return;
  const loadPage = resultPages(state);
  pendingKey = key;
  busy(true);
  main.ariaBusy = "true";
  if (shownKey === null && !hasFailed) {
    showState(null);
    tiles.wait();
  }
  let isRefused = false;
  try {
    const [answer] = await Promise.all([loadPage(signal), nearDuplicates.ready()]);
    signal.throwIfAborted();
    pendingKey = null;
    shownKey = key;
    nextPage = loadPage;
    groups = new Map();
    if (state.view === null) window.scrollTo({ top: 0, behavior: "instant" });
    tiles.show(nearDuplicates.fold(answer.items, groups), answer.last);
    present(answer);
    if (!nearDuplicates.known()) nearDuplicates.arrival().then(() => shownKey === key && foldBelow());
  } catch (error) {
    if (signal.aborted) return;
    pendingKey = null;
    isRefused = error.status === 401;
    fail(error, reload);
  }
  finishLoading();
  if (hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true }); // its button was removed
  if (!isRefused) drawRest();
}

function reload() {
  keepShown();
  load({ refresh: true });
}

/** Aborts the request in flight. */
function abortPending() {
  pending.abort();
  pending = new AbortController();
  pendingKey = null;
  isLoading = false;
  return pending;
}

function finishLoading() {
  busy(false);
  main.ariaBusy = "false";
}

/** Folds near-duplicates that became known late, without moving pictures in the viewport. */
function foldBelow() {
  groups = new Map();
  tiles.refold((items, seen) => nearDuplicates.fold(items, groups, seen));
}

/** Loads the next page. */
async function more() {
  if (pendingKey !== null || isLoading || nextPage === null || tiles.isLast) return;
  isLoading = true;
  hasPageFailed = false;
  const { signal } = pending;
  try {
    const answer = await nextPage(signal);
    signal.throwIfAborted();
    isLoading = false;
    tiles.add(nearDuplicates.fold(answer.items, groups), answer.last);
  } catch (error) {
    if (signal.aborted) return;
    isLoading = false;
    hasPageFailed = true;
    if (error.type?.endsWith(":cursor"))
      reload(); // the server was restarted
    else fail(error, more);
  }
}

/** Caches the shown pictures and the scroll position, for going back. */
function keepShown() {
  if (shownKey === null) return;
  const top = main.hidden ? (cache.get(shownKey)?.top ?? 0) : window.scrollY;
  cache.delete(shownKey);
  cache.set(shownKey, { items: tiles.all, last: tiles.isLast, nextPage, groups, top, presented });
  limit(cache);
}

/** Drops the oldest entries of a map. */
function limit(map) {
  for (const key of map.keys()) if (map.size > MAX_CACHED) map.delete(key);
}

/** Shows the cached pictures of a query; returns false if there are none. */
function restore(key) {
  const entry = cache.get(key);
  if (entry === undefined) return false;
  ({ nextPage, groups } = entry);
  shownKey = key;
  tiles.show(entry.items, entry.last);
  present(entry.presented);
  window.scrollTo({ top: entry.top, behavior: "instant" });
  finishLoading();
  drawRest();
  return true;
}

// --- presenting the answer ---

let presented = null; // the shown answer

function present(answer) {
  const { query, noMatch, milliseconds, items, last } = answer;
  presented = { query, noMatch, milliseconds, items, last };
  hasFailed = false;
  isPresented = true;
  const announce = state.view === null ? say : () => {}; // an open view makes its own announcements
  clearTrouble();
  showState(null);
  showVerdict(null);
  announce(announcement(state, answer));
  if (!answer.items.length) {
    showSummary("");
    showState(emptyState(state, go));
    return;
  }
  if (answer.noMatch) {
    const text = "No picture is likely to show this. The closest ones follow.";
    showVerdict(`No good match for “${answer.query}”`, text);
  }
  showSummary(answer.milliseconds === undefined ? "" : `${Math.max(1, Math.round(answer.milliseconds))} ms`);
  if (answer.milliseconds === undefined) showTotal();
}

/** Shows how many pictures there are to browse. */
async function showTotal() {
  const key = shownKey;
  try {
    const { images } = await api.facets(where(state));
    if (shownKey === key && isPresented) showSummary(`${count.format(images)} picture${images === 1 ? "" : "s"}`);
  } catch {
    // optional: the pictures are shown anyway
  }
}

/** Shows an error with a button that calls `retry`. */
function fail(error, retry) {
  if (error.status === 422 && state.q.trim() && tiles.count) {
    showSummary(error.message); // an unfinished query, such as a lone hyphen: keep the pictures
    return;
  }
  if (tiles.count) {
    notify(error.message, { kind: "bad", action: ["Try again", retry] });
    return;
  }
  hasFailed = true;
  tiles.show([], true);
  showVerdict(null);
  showState({ ...failureState(error), buttons: [["Try again", retry]] });
  say(failureState(error).title);
}

api.events.addEventListener("busy", ({ detail }) =>
  notify(`The server is busy. Asking again in ${detail} s…`, { kind: "busy", seconds: detail + 2 }),
);
let recovery = 0; // timer
api.events.addEventListener("offline", () => {
  clearTimeout(recovery);
  recovery = setTimeout(recover, RETRY_DELAY);
});
window.addEventListener("offline", () => notify("This machine is offline.", { kind: "bad" }));
window.addEventListener("online", () => {
  clearTrouble();
  recover();
});

/** Repeats a request that got no answer. */
function recover() {
  if (state.view !== null || pendingKey !== null) return;
  if (!isPresented) reload();
  else if (hasPageFailed) more();
}

api.setKeyDialog(askForKey);

// --- rendering ---

function render(previous) {
  if (state.upload && !uploads.has(state.upload)) {
    state = { ...state, upload: null };
    history.replaceState(history.state, "", address(state));
    notify("That picture is no longer available. Drop it again.", { seconds: 8 });
  }
  searchBox.show(state);
  document.title = state.q.trim() ? `${state.q.trim()} · crosslook` : "crosslook";
  drawQueryPicture(state);
  drawFilters(state);
  showViews(previous);
  if (state.picture === null && pictureDialog.id !== null) {
    const id = pictureDialog.hide();
    if (state.view === null && !tiles.focus(id, { quietly: true })) field.focus({ preventScroll: true });
  }
  const key = queryKey(state);
  if (state.view === null && key !== shownKey && key !== pendingKey) {
    load();
    return;
  }
  if (pendingKey !== null && pendingKey !== key) {
    abortPending();
    finishLoading();
  }
  if (key === shownKey && !isPresented) present(presented);
  drawRest();
}

/** Draws the parts that need the pictures or can wait for them: timeline and open picture. */
function drawRest() {
  timelineBar.draw(state, state.view === null);
  if (state.picture !== null && state.view === null && pictureDialog.id !== state.picture) {
    pictureDialog.show(state.picture, state.q.trim() && (presented?.query ?? ""));
  }
}

const panels = views({
  options: {
    indexing: { api, say },
    compare: { api, query: () => ({ text: state.q.trim(), where: where(state) }) },
  },
  current: () => state.view,
  go,
});

function showViews(previous) {
  const isBack = main.hidden && state.view === null;
  main.hidden = state.view !== null;
  if (isBack) window.scrollTo({ top: cache.get(shownKey)?.top ?? 0, behavior: "instant" });
  panels.draw((name) => previous?.view !== name || queryKey(previous) !== queryKey(state));
}

document.getElementById("indexing").addEventListener("indexed", () => {
  nearDuplicates.forget();
  timelineBar.forget();
  cache.clear();
  if (state.view !== null) {
    abortPending();
    finishLoading();
    shownKey = null; // load when the pictures are shown again
  } else if (window.scrollY === 0 && state.picture === null) reload();
  else {
    const show = () => {
      go({ view: null, picture: null });
      reload();
    };
    notify("The index has changed.", { action: ["Show", show] }); // do not interrupt browsing
  }
});

// --- links and keyboard ---

document.getElementById("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ...DEFAULT_STATE });
});
document.getElementById("grid").addEventListener("above", () => field.focus({ preventScroll: true }));
shortcuts({ field, main, enterGrid: tiles.enter });
themeButton(say);

render(null);
