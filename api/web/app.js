/* Starts the page and wires its parts together. What is shown follows from the address: every action changes the
   address, and `render` brings the page in line with it. */

import { address, filtered, NOTHING, question, read, where } from "./address.js";
import * as api from "./api.js";
import { acceptPictures } from "./drop.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { askForKey } from "./key-dialog.js";
import { announcement, emptyState, failureState, matchesNothing } from "./messages.js";
import * as nearDuplicates from "./near-duplicates.js";
import { picturePage } from "./picture.js";
import { queryPicture } from "./query-picture.js";
import { resultPages, uploads } from "./result-pages.js";
import { busy, clearTrouble, notify, say, showState, showSummary, showVerdict } from "./status.js";
import { timeline } from "./timeline.js";

const PAUSE = 150; // milliseconds without a key pressed after which a search begins
const SENTENCE = 2000; // milliseconds after which further typing makes a new entry in the history
const CACHED = 12; // answers that going back shows at once, and pictures that were dropped
const RECOVERY = 3000; // milliseconds after which a server that did not answer is asked again

const field = document.getElementById("q");
const clear = document.getElementById("clear");
const main = document.getElementById("results");
const timelineHost = document.getElementById("timeline");
const count = new Intl.NumberFormat();
const narrow = window.matchMedia("(max-width: 47.5rem)");

let state = read();

// --- parts ---

const tiles = grid(document.getElementById("grid"), {
  link: (item) => address({ ...state, picture: item.id }),
  open: (item) => go({ picture: item.id }, { opened: true }),
  more: () => hasPageFailed || more(),
  pass: (item) => timelineBar.here(item?.taken ?? null),
  say,
});
const pictureDialog = picturePage(document.getElementById("picture"), {
  around: tiles.around,
  go: (id) => go({ picture: id }, { replace: true }),
  leave: () => (history.state?.opened ? history.back() : go({ picture: null }, { replace: true })),
  like: (id) => go({ ...NOTHING, like: id }),
  search: (text) => go({ ...NOTHING, q: text }),
  say,
});
const drawFilters = filters(document.getElementById("filters"), { facets: api.facets, change: go });
const timelineBar = timeline(timelineHost, { facets: api.facets, change: go });
const drawQueryPicture = queryPicture(document.getElementById("query-picture"), {
  search: (text) => go({ ...NOTHING, q: text }),
  remove: () => go({ like: null, upload: null }),
});
acceptPictures({
  take(file) {
    const name = Math.random().toString(36).slice(2, 10);
    uploads.set(name, file);
    limit(uploads);
    go({ like: null, upload: name, picture: null, view: null });
  },
  refuse: () => notify("That is not a picture. Drop a JPEG, PNG, WebP or HEIC file.", { kind: "bad", seconds: 6 }),
});

// --- the address ---

/** Changes what is asked for. `opened` notes that back leads to where the picture was opened. */
function go(changes, { replace = false, opened = history.state?.opened && replace } = {}) {
  const before = state;
  const unsent = typingTimer && !changes.picture ? { q: field.value } : {}; // words that were just typed
  cancelTyping();
  keepShown();
  state = { ...state, ...unsent, ...changes };
  const entry = { opened: Boolean(opened) };
  if (address(state) === address(before)) {
    if ("q" in changes) fillField(state.q);
    return;
  }
  if (replace) history.replaceState(entry, "", address(state));
  else history.pushState(entry, "", address(state));
  render(before);
}

window.addEventListener("popstate", () => {
  const before = state;
  cancelTyping();
  keepShown();
  state = read();
  render(before);
});

history.scrollRestoration = "manual";

// --- asking ---

let shownQuestion = null; // the question whose pictures are shown
let pendingQuestion = null; // the question whose answer is on its way
let isPresented = false; // what was asked last has been answered, and the page says so
let hasFailed = false; // to show any
let nextPage = null; // promises the next page of the answer that is shown
let groups = new Map(); // of near-duplicates, in its pages
let pending = new AbortController();
let isLoading = false; // the next page
let hasPageFailed = false; // the next page failed, and is not asked for again by scrolling
const cache = new Map(); // question → what was shown for it

/** Asks for the pictures of the address; `afresh` even if they were kept. */
async function ask({ afresh = false } = {}) {
  const wantedQuestion = question(state);
  const { signal } = abortPending();
  const hadFocus = document.activeElement !== document.body;
  hasPageFailed = false;
  isPresented = false;
  if (afresh) cache.delete(wantedQuestion);
  else if (restore(wantedQuestion)) return;
  const loadPage = resultPages(state);
  pendingQuestion = wantedQuestion;
  busy(true);
  main.ariaBusy = "true";
  if (shownQuestion === null && !hasFailed) {
    showState(null);
    tiles.wait();
  }
  let isRefused = false;
  try {
    const [answer] = await Promise.all([loadPage(signal), nearDuplicates.ready()]);
    signal.throwIfAborted();
    pendingQuestion = null;
    shownQuestion = wantedQuestion;
    nextPage = loadPage;
    groups = new Map();
    if (state.view === null) window.scrollTo({ top: 0, behavior: "instant" });
    tiles.show(nearDuplicates.fold(answer.items, groups), answer.last);
    present(answer);
    if (!nearDuplicates.known()) nearDuplicates.arrival().then(() => shownQuestion === wantedQuestion && foldUnseen());
  } catch (error) {
    if (signal.aborted) return;
    pendingQuestion = null;
    isRefused = error.status === 401;
    fail(error, askAfresh);
  }
  finishLoading();
  if (hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true }); // a button went away
  if (!isRefused) complete();
}

function askAfresh() {
  keepShown();
  ask({ afresh: true });
}

/** Ends what is under way for another request. */
function abortPending() {
  pending.abort();
  pending = new AbortController();
  pendingQuestion = null;
  isLoading = false;
  return pending;
}

function finishLoading() {
  busy(false);
  main.ariaBusy = "false";
}

/** Near-duplicates became known after their pictures were shown: nothing that is in the window moves. */
function foldUnseen() {
  groups = new Map();
  tiles.refold((items, seen) => nearDuplicates.fold(items, groups, seen));
}

/** The next page, when the end comes near. */
async function more() {
  if (pendingQuestion !== null || isLoading || nextPage === null || tiles.isLast) return;
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
      askAfresh(); // the server was started anew
    else fail(error, more);
  }
}

/** Keeps what is shown, so that going back shows it at once, and where it was. */
function keepShown() {
  if (shownQuestion === null) return;
  const top = main.hidden ? (cache.get(shownQuestion)?.top ?? 0) : window.scrollY;
  cache.delete(shownQuestion);
  cache.set(shownQuestion, { items: tiles.all, last: tiles.isLast, nextPage, groups, top, presented });
  limit(cache);
}

/** Lets go of the oldest entries of a map. */
function limit(map) {
  for (const old of map.keys()) if (map.size > CACHED) map.delete(old);
}

function restore(wantedQuestion) {
  const entry = cache.get(wantedQuestion);
  if (entry === undefined) return false;
  ({ nextPage, groups } = entry);
  shownQuestion = wantedQuestion;
  tiles.show(entry.items, entry.last);
  present(entry.presented);
  window.scrollTo({ top: entry.top, behavior: "instant" });
  finishLoading();
  complete();
  return true;
}

// --- presenting the answer ---

let presented = null; // what was told of the answer that is shown

function present(answer) {
  presented = { query: answer.query, milliseconds: answer.milliseconds, items: answer.items, last: answer.last };
  hasFailed = false;
  isPresented = true;
  const announce = state.view === null ? say : () => {}; // an open view has more to say than the pictures behind it
  clearTrouble();
  showState(null);
  showVerdict(null);
  announce(announcement(state, answer));
  if (!answer.items.length) {
    showSummary("");
    showState(emptyState(state, go));
    return;
  }
  if (matchesNothing(state, answer)) {
    const text = "No picture is likely to show this. The closest ones follow.";
    showVerdict(`No good match for “${answer.query}”`, text);
  }
  showSummary(answer.milliseconds === undefined ? "" : `${Math.max(1, Math.round(answer.milliseconds))} ms`);
  if (answer.milliseconds === undefined) total();
}

/** How many pictures there are to browse. */
async function total() {
  const wantedQuestion = shownQuestion;
  try {
    const { images } = filtered(state) ? await api.facets(where(state)) : await api.stats();
    if (shownQuestion === wantedQuestion && isPresented)
      showSummary(`${count.format(images)} picture${images === 1 ? "" : "s"}`);
  } catch {
    // the pictures are there without it
  }
}

/** Says what went wrong; `retry` is called where somebody wants to try again. */
function fail(error, retry) {
  if (error.status === 422 && state.q.trim() && tiles.count) {
    showSummary(error.message); // half a query, such as a lone hyphen: what is shown stays
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
let recovery = 0;
api.events.addEventListener("offline", () => {
  clearTimeout(recovery);
  recovery = setTimeout(recover, RECOVERY);
});
window.addEventListener("offline", () => notify("This machine is offline.", { kind: "bad" }));
window.addEventListener("online", () => {
  clearTrouble();
  recover();
});

/** Asks again for what nobody answered. */
function recover() {
  if (state.view !== null || pendingQuestion !== null) return;
  if (!isPresented) askAfresh();
  else if (hasPageFailed) more();
}

api.keysFrom(askForKey);

// --- rendering ---

function render(before) {
  if (state.upload && !uploads.has(state.upload)) {
    state = { ...state, upload: null };
    history.replaceState(history.state, "", address(state));
    notify("That picture is no longer available. Drop it again.", { seconds: 8 });
  }
  fillField(state.q);
  field.placeholder =
    state.like || state.upload
      ? "Add words, such as: at night"
      : narrow.matches
        ? "Describe a picture"
        : "Describe a picture, or drop one here";
  document.title = state.q.trim() ? `${state.q.trim()} · crosslook` : "crosslook";
  drawQueryPicture(state);
  drawFilters(state);
  showViews(before);
  if (state.picture === null && pictureDialog.id !== null) {
    const id = pictureDialog.hide();
    if (state.view === null && !tiles.focus(id, { quietly: true })) field.focus({ preventScroll: true });
  }
  const wantedQuestion = question(state);
  if (state.view === null && wantedQuestion !== shownQuestion && wantedQuestion !== pendingQuestion) {
    ask();
    return;
  }
  if (pendingQuestion !== null && pendingQuestion !== wantedQuestion) {
    abortPending(); // nobody waits for that answer any more
    finishLoading();
  }
  if (wantedQuestion === shownQuestion && !isPresented) present(presented);
  complete();
}

/** What can wait for the pictures, or needs them. */
function complete() {
  timelineBar.draw(state, state.view === null);
  if (state.picture !== null && state.view === null && pictureDialog.id !== state.picture) {
    pictureDialog.show(state.picture, state.q.trim() && (presented?.query ?? ""));
  }
}

const loaders = {
  indexing: async (host) => (await import("./indexing.js")).indexing(host, { api, say }),
  compare: async (host) =>
    (await import("./compare.js")).compare(host, { api, query: () => ({ text: state.q.trim(), where: where(state) }) }),
};
const panels = {}; // promises of the views that were opened

function showViews(before) {
  const isBack = main.hidden && state.view === null;
  main.hidden = state.view !== null;
  if (isBack) window.scrollTo({ top: cache.get(shownQuestion)?.top ?? 0, behavior: "instant" });
  for (const name of Object.keys(loaders)) {
    document.getElementById(`open-${name}`).ariaPressed = String(state.view === name);
    if (state.view === name || panels[name]) toggleView(name, before);
  }
}

/** Opens or closes a view. */
async function toggleView(name, before) {
  const isNew = before?.view !== name || question(before) !== question(state);
  let panel;
  try {
    panels[name] ??= loaders[name](document.getElementById(name));
    panel = await panels[name];
  } catch {
    delete panels[name];
    if (state.view !== name) return;
    go({ view: null }, { replace: true });
    notify("This view could not be loaded.", {
      action: ["Try again", () => go({ view: name, picture: null })],
      seconds: 10,
    });
    return;
  }
  if (state.view !== name) panel.close();
  else if (isNew) {
    window.scrollTo({ top: 0, behavior: "instant" });
    panel.open();
  }
}

for (const name of Object.keys(loaders)) {
  const host = document.getElementById(name);
  const button = document.getElementById(`open-${name}`);
  button.addEventListener("click", () => go({ view: state.view === name ? null : name, picture: null }));
  host.addEventListener("leave", () => {
    go({ view: null });
    button.focus({ preventScroll: true });
  });
  host.addEventListener("show", ({ detail }) => go({ view: null, picture: detail.id }, { opened: true }));
}
document.getElementById("indexing").addEventListener("indexed", () => {
  nearDuplicates.forget();
  timelineBar.forget();
  cache.clear();
  if (state.view !== null) {
    abortPending();
    finishLoading();
    shownQuestion = null; // whoever comes back sees what is there by then
  } else if (window.scrollY === 0 && state.picture === null) askAfresh();
  else {
    const show = () => {
      go({ view: null, picture: null });
      askAfresh();
    };
    notify("The index has changed.", { action: ["Show", show] }); // nobody is torn from what is looked at
  }
});

// --- the field and the keyboard ---

let typingTimer = 0; // the timer while somebody types, else 0
let lastTyped = 0; // when a key was pressed last

function searchFor(text, now = false) {
  clearTimeout(typingTimer);
  const send = () => {
    const replace = performance.now() - lastTyped < SENTENCE && !now;
    lastTyped = performance.now();
    go({ q: text, picture: null, view: state.view === "compare" ? "compare" : null }, { replace });
  };
  if (now) send();
  else typingTimer = setTimeout(send, PAUSE);
}

function cancelTyping() {
  clearTimeout(typingTimer);
  typingTimer = 0;
}

/** Puts words in the field; spaces that are being typed stay. */
function fillField(text) {
  if (field.value.trim() !== text.trim()) field.value = text;
  updateClearButton();
}

function updateClearButton() {
  clear.hidden = field.value === "" && !state.like && !state.upload;
}

field.addEventListener("input", () => {
  updateClearButton();
  searchFor(field.value);
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  searchFor(field.value, true);
  if (window.matchMedia("(pointer: coarse)").matches) field.blur(); // the keyboard covers the pictures
});
clear.addEventListener("click", () => {
  go({ q: "", like: null, upload: null });
  field.focus({ preventScroll: true });
});
document.getElementById("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ...NOTHING });
});
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("crosslook-theme", root.dataset.theme);
  say(`${root.dataset.theme} colours`);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && tiles.enter()) event.preventDefault();
  if (event.key === "Escape" && field.value) {
    event.preventDefault();
    go({ q: "" });
  }
});
document.getElementById("grid").addEventListener("above", () => field.focus({ preventScroll: true }));
document.addEventListener("keydown", (event) => {
  const isWriting = event.target.matches("input, textarea, select");
  if (
    event.key === "/" &&
    (!isWriting || event.target.matches("[type=checkbox]")) &&
    !event.ctrlKey &&
    !event.metaKey &&
    !event.altKey &&
    !document.querySelector("dialog[open]")
  ) {
    event.preventDefault();
    document.querySelector(":popover-open")?.hidePopover();
    field.focus({ preventScroll: true });
    field.select();
  } else if (/^Arrow(Left|Right)$/.test(event.key) && event.target === document.body && !event.altKey && tiles.enter())
    event.preventDefault(); // from nowhere into the grid; up and down scroll
  else if (event.key === "Escape" && !isWriting && !event.defaultPrevented && main.contains(event.target))
    field.focus({ preventScroll: true });
});

render(null);
