/* Starts the page and wires its parts together. What is shown follows from the address: every action changes the
   address, and `render` brings the page in line with it. */

import { address, filtered, NOTHING, question, read, where } from "./address.js";
import * as api from "./api.js";
import { pictures } from "./drop.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { askForKey } from "./key-dialog.js";
import { announcement, emptyState, failureState, matchesNothing } from "./messages.js";
import * as nearDuplicates from "./near-duplicates.js";
import { picturePage } from "./picture.js";
import { queryPicture } from "./query-picture.js";
import { answers, uploads } from "./result-pages.js";
import { busy, judge, notify, say, settle, stand, summarise } from "./status.js";
import { timeline } from "./timeline.js";

const PAUSE = 150; // milliseconds without a key pressed after which a search begins
const SENTENCE = 2000; // milliseconds after which further typing makes a new entry in the history
const KEPT = 12; // answers that going back shows at once, and pictures that were dropped
const RECOVERY = 3000; // milliseconds after which a server that did not answer is asked again

const field = document.getElementById("q");
const clear = document.getElementById("clear");
const main = document.getElementById("results");
const bar = document.getElementById("timeline");
const count = new Intl.NumberFormat();
const narrow = window.matchMedia("(max-width: 47.5rem)");

let asked = read();

// --- parts ---

const tiles = grid(document.getElementById("grid"), {
  link: (item) => address({ ...asked, picture: item.id }),
  open: (item) => go({ picture: item.id }, { opened: true }),
  more: () => isHeld || more(),
  pass: (item) => times.here(item?.taken ?? null),
  say,
});
const page = picturePage(document.getElementById("picture"), {
  around: tiles.around,
  go: (id) => go({ picture: id }, { replace: true }),
  leave: () => (history.state?.opened ? history.back() : go({ picture: null }, { replace: true })),
  like: (id) => go({ ...NOTHING, like: id }),
  search: (text) => go({ ...NOTHING, q: text }),
  say,
});
const choose = filters(document.getElementById("filters"), { facets: api.facets, change: go });
const times = timeline(bar, { facets: api.facets, change: go });
const drawQueryPicture = queryPicture(document.getElementById("asked"), {
  search: (text) => go({ ...NOTHING, q: text }),
  remove: () => go({ like: null, upload: null }),
});
pictures({
  take(file) {
    const name = Math.random().toString(36).slice(2, 10);
    uploads.set(name, file);
    limit(uploads);
    go({ like: null, upload: name, picture: null, view: null });
  },
  refuse: () => notify("That is no picture. Drop a JPEG, PNG, WebP or HEIC file.", { kind: "bad", seconds: 6 }),
});

// --- the address ---

/** Changes what is asked for. `opened` notes that back leads to where the picture was opened. */
function go(changes, { replace = false, opened = history.state?.opened && replace } = {}) {
  const before = asked;
  const unsent = pause && !changes.picture ? { q: field.value } : {}; // words that were just typed
  forgetTyping();
  remember();
  asked = { ...asked, ...unsent, ...changes };
  const state = { opened: Boolean(opened) };
  if (address(asked) === address(before)) {
    if ("q" in changes) write(asked.q);
    return;
  }
  if (replace) history.replaceState(state, "", address(asked));
  else history.pushState(state, "", address(asked));
  render(before);
}

window.addEventListener("popstate", () => {
  const before = asked;
  forgetTyping();
  remember();
  asked = read();
  render(before);
});

history.scrollRestoration = "manual";

// --- asking ---

let shown = null; // the question whose pictures are shown
let asking = null; // the question whose answer is on its way
let isTold = false; // what was asked last has been answered, and the page says so
let hasFailed = false; // to show any
let next = null; // promises the next page of the answer that is shown
let groups = new Map(); // of near-duplicates, in its pages
let running = new AbortController();
let isLoading = false; // the next page
let isHeld = false; // the next page failed, and is not asked for again by scrolling
const kept = new Map(); // question → what was shown for it

/** Asks for the pictures of the address; `afresh` even if they were kept. */
async function ask({ afresh = false } = {}) {
  const wanted = question(asked);
  const { signal } = begin();
  const hadFocus = document.activeElement !== document.body;
  isHeld = false;
  isTold = false;
  if (afresh) kept.delete(wanted);
  else if (again(wanted)) return;
  const first = answers(asked);
  asking = wanted;
  busy(true);
  main.ariaBusy = "true";
  if (shown === null && !hasFailed) {
    stand(null);
    tiles.wait();
  }
  let isRefused = false;
  try {
    const [found] = await Promise.all([first(signal), nearDuplicates.ready()]);
    signal.throwIfAborted();
    asking = null;
    shown = wanted;
    next = first;
    groups = new Map();
    if (asked.view === null) window.scrollTo({ top: 0, behavior: "instant" });
    tiles.show(nearDuplicates.fold(found.items, groups), found.last);
    tell(found);
    if (!nearDuplicates.known()) nearDuplicates.arrival().then(() => shown === wanted && foldUnseen());
  } catch (error) {
    if (signal.aborted) return;
    asking = null;
    isRefused = error.status === 401;
    fail(error, askAfresh);
  }
  rest();
  if (hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true }); // a button went away
  if (!isRefused) complete();
}

function askAfresh() {
  remember();
  ask({ afresh: true });
}

/** Ends what is under way for another request. */
function begin() {
  running.abort();
  running = new AbortController();
  asking = null;
  isLoading = false;
  return running;
}

function rest() {
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
  if (asking !== null || isLoading || next === null || tiles.isLast) return;
  isLoading = true;
  isHeld = false;
  const { signal } = running;
  try {
    const found = await next(signal);
    signal.throwIfAborted();
    isLoading = false;
    tiles.add(nearDuplicates.fold(found.items, groups), found.last);
  } catch (error) {
    if (signal.aborted) return;
    isLoading = false;
    isHeld = true;
    if (error.type?.endsWith(":cursor"))
      askAfresh(); // the server was started anew
    else fail(error, more);
  }
}

/** Keeps what is shown, so that going back shows it at once, and where it was. */
function remember() {
  if (shown === null) return;
  const top = main.hidden ? (kept.get(shown)?.top ?? 0) : window.scrollY;
  kept.delete(shown);
  kept.set(shown, { items: tiles.all, last: tiles.isLast, next, groups, top, about });
  limit(kept);
}

/** Lets go of the oldest entries of a map. */
function limit(map) {
  for (const old of map.keys()) if (map.size > KEPT) map.delete(old);
}

function again(wanted) {
  const there = kept.get(wanted);
  if (there === undefined) return false;
  ({ next, groups } = there);
  shown = wanted;
  tiles.show(there.items, there.last);
  tell(there.about);
  window.scrollTo({ top: there.top, behavior: "instant" });
  rest();
  complete();
  return true;
}

// --- telling ---

let about = null; // what was told of the answer that is shown

function tell(found) {
  about = { query: found.query, milliseconds: found.milliseconds, items: found.items, last: found.last };
  hasFailed = false;
  isTold = true;
  const tellAloud = asked.view === null ? say : () => {}; // an open view has more to say than the pictures behind it
  settle();
  stand(null);
  judge(null);
  tellAloud(announcement(asked, found));
  if (!found.items.length) {
    summarise("");
    stand(emptyState(asked, go));
    return;
  }
  if (matchesNothing(asked, found)) {
    const text = "Nothing here is likely to show that. Below the line are the nearest pictures.";
    judge(`No good match for “${found.query}”`, text);
  }
  summarise(found.milliseconds === undefined ? "" : `${Math.max(1, Math.round(found.milliseconds))} ms`);
  if (found.milliseconds === undefined) total();
}

/** How many pictures there are to browse. */
async function total() {
  const wanted = shown;
  try {
    const { images } = filtered(asked) ? await api.facets(where(asked)) : await api.stats();
    if (shown === wanted && isTold) summarise(`${count.format(images)} picture${images === 1 ? "" : "s"}`);
  } catch {
    // the pictures are there without it
  }
}

/** Says what went wrong; `retry` is called where somebody wants to try again. */
function fail(error, retry) {
  if (error.status === 422 && asked.q.trim() && tiles.count) {
    summarise(error.message); // half a query, such as a lone hyphen: what is shown stays
    return;
  }
  if (tiles.count) {
    notify(error.message, { kind: "bad", action: ["Try again", retry] });
    return;
  }
  hasFailed = true;
  tiles.show([], true);
  judge(null);
  stand({ ...failureState(error), buttons: [["Try again", retry]] });
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
  settle();
  recover();
});

/** Asks again for what nobody answered. */
function recover() {
  if (asked.view !== null || asking !== null) return;
  if (!isTold) askAfresh();
  else if (isHeld) more();
}

api.keysFrom(askForKey);

// --- rendering ---

function render(before) {
  if (asked.upload && !uploads.has(asked.upload)) {
    asked = { ...asked, upload: null };
    history.replaceState(history.state, "", address(asked));
    notify("That picture is not here any more. Drop it again.", { seconds: 8 });
  }
  write(asked.q);
  field.placeholder =
    asked.like || asked.upload
      ? "Add words, such as: at night"
      : narrow.matches
        ? "Describe a picture"
        : "Describe a picture, or drop one here";
  document.title = asked.q.trim() ? `${asked.q.trim()} · crosslook` : "crosslook";
  drawQueryPicture(asked);
  choose(asked);
  views(before);
  if (asked.picture === null && page.id !== null) {
    const id = page.hide();
    if (asked.view === null && !tiles.focus(id, { quietly: true })) field.focus({ preventScroll: true });
  }
  const wanted = question(asked);
  if (asked.view === null && wanted !== shown && wanted !== asking) {
    ask();
    return;
  }
  if (asking !== null && asking !== wanted) {
    begin(); // nobody waits for that answer any more
    rest();
  }
  if (wanted === shown && !isTold) tell(about);
  complete();
}

/** What can wait for the pictures, or needs them. */
function complete() {
  times.draw(asked, asked.view === null);
  if (asked.picture !== null && asked.view === null && page.id !== asked.picture) {
    page.show(asked.picture, asked.q.trim() && (about?.query ?? ""));
  }
}

const made = {
  indexing: async (host) => (await import("./indexing.js")).indexing(host, { api, say }),
  compare: async (host) =>
    (await import("./compare.js")).compare(host, { api, query: () => ({ text: asked.q.trim(), where: where(asked) }) }),
};
const panels = {}; // promises of the views that were opened

function views(before) {
  const isBack = main.hidden && asked.view === null;
  main.hidden = asked.view !== null;
  if (isBack) window.scrollTo({ top: kept.get(shown)?.top ?? 0, behavior: "instant" });
  for (const name of Object.keys(made)) {
    document.getElementById(`open-${name}`).ariaPressed = String(asked.view === name);
    if (asked.view === name || panels[name]) turn(name, before);
  }
}

/** Opens or closes a view. */
async function turn(name, before) {
  const isNew = before?.view !== name || question(before) !== question(asked);
  let panel;
  try {
    panels[name] ??= made[name](document.getElementById(name));
    panel = await panels[name];
  } catch {
    delete panels[name];
    if (asked.view !== name) return;
    go({ view: null }, { replace: true });
    notify("That could not be loaded.", {
      action: ["Try again", () => go({ view: name, picture: null })],
      seconds: 10,
    });
    return;
  }
  if (asked.view !== name) panel.close();
  else if (isNew) {
    window.scrollTo({ top: 0, behavior: "instant" });
    panel.open();
  }
}

for (const name of Object.keys(made)) {
  const host = document.getElementById(name);
  const button = document.getElementById(`open-${name}`);
  button.addEventListener("click", () => go({ view: asked.view === name ? null : name, picture: null }));
  host.addEventListener("leave", () => {
    go({ view: null });
    button.focus({ preventScroll: true });
  });
  host.addEventListener("show", ({ detail }) => go({ view: null, picture: detail.id }, { opened: true }));
}
document.getElementById("indexing").addEventListener("indexed", () => {
  nearDuplicates.forget();
  times.forget();
  kept.clear();
  if (asked.view !== null) {
    begin();
    rest();
    shown = null; // whoever comes back sees what is there by then
  } else if (window.scrollY === 0 && asked.picture === null) askAfresh();
  else {
    const show = () => {
      go({ view: null, picture: null });
      askAfresh();
    };
    notify("The index has changed.", { action: ["Show", show] }); // nobody is torn from what is looked at
  }
});

// --- the field and the keyboard ---

let pause = 0; // the timer while somebody types, else 0
let typed = 0; // when a key was pressed last

function type(text, now = false) {
  clearTimeout(pause);
  const send = () => {
    const replace = performance.now() - typed < SENTENCE && !now;
    typed = performance.now();
    go({ q: text, picture: null, view: asked.view === "compare" ? "compare" : null }, { replace });
  };
  if (now) send();
  else pause = setTimeout(send, PAUSE);
}

function forgetTyping() {
  clearTimeout(pause);
  pause = 0;
}

/** Puts words in the field; spaces that are being typed stay. */
function write(text) {
  if (field.value.trim() !== text.trim()) field.value = text;
  offerToClear();
}

function offerToClear() {
  clear.hidden = field.value === "" && !asked.like && !asked.upload;
}

field.addEventListener("input", () => {
  offerToClear();
  type(field.value);
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  type(field.value, true);
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
