/* Starts the page and wires its parts together. What is shown follows from the address: every action changes the
   address, and `render` brings the page in line with it. */

import { address, filtered, NOTHING, question, read, where } from "./address.js";
import { answers, uploads } from "./answers.js";
import * as api from "./api.js";
import { pictures } from "./drop.js";
import { filters } from "./filters.js";
import * as folds from "./folds.js";
import { grid } from "./grid.js";
import { askForKey } from "./keyask.js";
import { picturePage } from "./picture.js";
import { queried } from "./queried.js";
import { busy, judge, notify, say, settle, stand, summarise } from "./status.js";
import { failure, matchesNothing, nothing, spoken } from "./telling.js";
import { timeline } from "./timeline.js";

const PAUSE = 150; // milliseconds without a key pressed after which a search begins
const SENTENCE = 2000; // milliseconds after which further typing makes a new entry in the history
const KEPT = 12; // answers that going back shows at once

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
  more: () => more(),
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
const showQueried = queried(document.getElementById("asked"), {
  search: (text) => go({ ...NOTHING, q: text }),
  remove: () => go({ like: null, upload: null }),
});
pictures({
  take(file) {
    const name = Math.random().toString(36).slice(2, 10);
    uploads.set(name, file);
    go({ like: null, upload: name, picture: null, view: null });
  },
  refuse: () => notify("That is no picture. Drop a JPEG, PNG, WebP or HEIC file.", { kind: "bad", seconds: 6 }),
});

// --- the address ---

/** Changes what is asked for. `opened` notes that back leads to where the picture was opened. */
function go(changes, { replace = false, opened = history.state?.opened && replace } = {}) {
  const before = asked;
  asked = { ...asked, ...changes };
  remember();
  const state = { opened: Boolean(opened) };
  if (address(asked) === address(before)) return;
  if (replace) history.replaceState(state, "", address(asked));
  else history.pushState(state, "", address(asked));
  render(before);
}

window.addEventListener("popstate", () => {
  const before = asked;
  remember();
  asked = read();
  render(before);
});

history.scrollRestoration = "manual";

// --- asking ---

let shown = null; // the question whose pictures are shown
let hasFailed = false; // to show any
let next = null; // promises the next page of its answer
let groups = new Map(); // of near-duplicates, in its pages
let running = new AbortController();
let isLoading = false;
const kept = new Map(); // question → what was shown for it

async function ask() {
  const wanted = question(asked);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const hadFocus = document.activeElement !== document.body;
  isLoading = false;
  if (again(wanted)) return;
  const first = answers(asked);
  busy(true);
  if (shown === null && !hasFailed) tiles.wait();
  main.ariaBusy = "true";
  try {
    const [found] = await Promise.all([first(signal), folds.ready()]);
    signal.throwIfAborted();
    shown = wanted;
    next = first;
    groups = new Map();
    window.scrollTo({ top: 0, behavior: "instant" });
    tiles.show(folds.fold(found.items, groups), found.last);
    tell(found);
    if (!folds.known()) folds.arrival().then(() => shown === wanted && foldUnseen());
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
  if (signal.aborted) return;
  busy(false);
  main.ariaBusy = "false";
  if (hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true }); // a button went away
  complete();
}

/** Near-duplicates became known after their pictures were shown: nothing that is in the window moves. */
function foldUnseen() {
  groups = new Map();
  tiles.refold((items, seen) => folds.fold(items, groups, seen));
}

/** The next page, when the end comes near. */
async function more() {
  if (isLoading || next === null || tiles.isLast) return;
  isLoading = true;
  const { signal } = running;
  const of = shown;
  try {
    const found = await next(signal);
    signal.throwIfAborted();
    if (shown !== of) return; // another question was answered meanwhile
    isLoading = false;
    tiles.add(folds.fold(found.items, groups), found.last);
  } catch (error) {
    if (signal.aborted) return;
    isLoading = false;
    if (error.type?.endsWith(":cursor")) {
      kept.delete(shown); // the server was started anew
      shown = null;
      ask();
    } else fail(error);
  }
}

/** Keeps what is shown, so that going back shows it at once, and where it was. */
function remember() {
  if (shown === null || isLoading) return;
  kept.delete(shown);
  kept.set(shown, { items: tiles.all, last: tiles.isLast, next, groups, top: window.scrollY, about });
  for (const old of kept.keys()) if (kept.size > KEPT) kept.delete(old);
}

function again(wanted) {
  const there = kept.get(wanted);
  if (there === undefined) return false;
  ({ next, groups } = there);
  shown = wanted;
  tiles.show(there.items, there.last);
  tell(there.about);
  window.scrollTo({ top: there.top, behavior: "instant" });
  busy(false);
  main.ariaBusy = "false";
  complete();
  return true;
}

// --- telling ---

let about = null; // what was told of the answer that is shown

function tell(found) {
  about = { query: found.query, milliseconds: found.milliseconds, items: found.items, last: found.last };
  hasFailed = false;
  const tellAloud = asked.view === null ? say : () => {}; // an open view has more to say than the pictures behind it
  settle();
  stand(null);
  judge(null);
  tellAloud(spoken(asked, found));
  if (!found.items.length) {
    summarise("");
    stand(nothing(asked, go));
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
    if (shown === wanted) summarise(`${count.format(images)} picture${images === 1 ? "" : "s"}`);
  } catch {
    // the pictures are there without it
  }
}

function fail(error) {
  if (error.name === "AbortError") return;
  const retry = () => {
    kept.delete(question(asked));
    ask();
  };
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
  stand({ ...failure(error), buttons: [["Try again", retry]] });
  say(failure(error).title);
}

api.events.addEventListener("busy", ({ detail }) =>
  notify(`The server is busy. Asking again in ${detail} s…`, { kind: "busy", seconds: detail + 2 }),
);
let recovery = 0;
api.events.addEventListener("offline", () => {
  clearTimeout(recovery);
  recovery = setTimeout(() => shown === null && ask(), 3000);
});
window.addEventListener("offline", () => notify("This machine is offline.", { kind: "bad" }));
window.addEventListener("online", () => {
  settle();
  if (shown !== question(asked)) ask();
});
api.keysFrom(askForKey);

// --- rendering ---

function render(before) {
  if (asked.upload && !uploads.has(asked.upload)) {
    asked = { ...asked, upload: null };
    history.replaceState(history.state, "", address(asked));
    notify("That picture was only here while the page was open. Drop it again.", { seconds: 8 });
  }
  if (document.activeElement !== field || before?.q !== asked.q)
    if (field.value.trim() !== asked.q.trim()) field.value = asked.q;
  clear.hidden = field.value === "" && !asked.like && !asked.upload;
  field.placeholder =
    asked.like || asked.upload
      ? "Add words, such as: at night"
      : narrow.matches
        ? "Describe a picture"
        : "Describe a picture, or drop one here";
  document.title = asked.q.trim() ? `${asked.q.trim()} · crosslook` : "crosslook";
  showQueried(asked);
  choose(asked);
  views(before);
  if (asked.picture === null && page.id !== null) {
    const id = page.hide();
    if (asked.view === null && !tiles.focus(id, { quietly: true })) field.focus();
  }
  if (asked.view === null && question(asked) !== shown) ask();
  else complete();
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
const panels = {}; // the views that were opened

async function views(before) {
  main.hidden = asked.view !== null;
  for (const name of Object.keys(made)) {
    const host = document.getElementById(name);
    document.getElementById(`open-${name}`).ariaPressed = String(asked.view === name);
    if (asked.view === name) {
      panels[name] ??= made[name](host);
      const changed = before?.view !== name || question(before) !== question(asked);
      const panel = await panels[name];
      if (asked.view === name && changed) {
        window.scrollTo({ top: 0, behavior: "instant" });
        panel.open();
      }
    } else if (panels[name]) (await panels[name]).close();
  }
}

for (const name of Object.keys(made)) {
  const host = document.getElementById(name);
  const button = document.getElementById(`open-${name}`);
  button.addEventListener("click", () => go({ view: asked.view === name ? null : name, picture: null }));
  host.addEventListener("leave", () => {
    go({ view: null });
    button.focus();
  });
  host.addEventListener("show", ({ detail }) => go({ view: null, picture: detail.id }, { opened: true }));
}
document.getElementById("indexing").addEventListener("indexed", () => {
  folds.forget();
  times.forget();
  kept.clear();
  shown = null;
  ask();
});

// --- the field and the keyboard ---

let pause = 0;
let typed = 0; // when a key was pressed last

function type(text, now = false) {
  clearTimeout(pause);
  const begin = () => {
    const replace = performance.now() - typed < SENTENCE && !now;
    typed = performance.now();
    go({ q: text, picture: null, view: asked.view === "compare" ? "compare" : null }, { replace });
  };
  if (now) begin();
  else pause = setTimeout(begin, PAUSE);
}

field.addEventListener("input", () => {
  clear.hidden = field.value === "" && !asked.like && !asked.upload;
  type(field.value);
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  type(field.value, true);
  if (window.matchMedia("(pointer: coarse)").matches) field.blur(); // the keyboard covers the pictures
});
clear.addEventListener("click", () => {
  go({ q: "", like: null, upload: null });
  field.focus();
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
document.getElementById("grid").addEventListener("above", () => field.focus());
document.addEventListener("keydown", (event) => {
  const isWriting = event.target.matches("input, textarea, select");
  if (
    event.key === "/" &&
    !isWriting &&
    !event.ctrlKey &&
    !event.metaKey &&
    !event.altKey &&
    !document.querySelector("dialog[open]")
  ) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "Escape" && !isWriting && !event.defaultPrevented && main.contains(event.target))
    field.focus();
});

render(null);
