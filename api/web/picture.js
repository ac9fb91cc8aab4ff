/* A picture's page: the picture, why it matched, what it shows, what is known about it. */

import * as api from "./api.js";
import { light, whereabouts } from "./attention.js";
import { el, icon } from "./dom.js";
import { likelihood, MEANING, percent } from "./probability-words.js";

const SHOWN_AS_THEY_ARE = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]; // what every browser shows
const THUMBNAIL = 1024;
const CAPTIONS = 4;
const POINT = "Point at a word, or tap it, to see where the model looked for it.";

/**
 * Makes the page in a <dialog>.
 *
 * `around(id)` gives the hit, its neighbours and its place; `go(id)` shows another picture, `leave()` none; `like(id)`
 * and `search(text)` look for more.
 */
export function picturePage(dialog, { around, go, leave, like, search, say }) {
  let image = el("img", { className: "full", alt: "" });
  const canvas = el("canvas", { ariaHidden: "true" });
  const lamp = light(canvas);
  const frame = el("div", { className: "frame" }, image, canvas);
  const previous = arrow("left", "Previous picture");
  const next = arrow("right", "Next picture");
  const stage = el("div", { className: "stage" }, frame, previous, next);
  const close = el(
    "button",
    { type: "button", className: "icon-button close", ariaLabel: "Close", title: "Close (Escape)" },
    icon("close"),
  );
  const name = el("h2", { id: "picture-name", tabIndex: -1 });
  const place = el("p", { className: "muted" });
  const why = el("section", { className: "why", ariaLabel: "Why this one" });
  const actions = el("div", { className: "buttons" });
  const words = el("section", { ariaLabel: "In words" });
  const facts = el("section", { ariaLabel: "Details" });
  const panel = el("div", { className: "panel", tabIndex: 0, role: "group", ariaLabel: "About this picture" });
  panel.append(el("header", {}, el("div", {}, name, place), close), why, actions, words, facts);
  dialog.append(stage, panel);

  let id = null;
  let stop = new AbortController();
  let drawn = Promise.resolve(); // when its thumbnail is there
  let sentence = ""; // whose words light up
  let seen = null; // { words, weights } of that sentence

  // --- showing ---

  function show(wanted, query) {
    const { item, index, count, previous: before, next: after } = around(wanted);
    stop.abort();
    stop = new AbortController();
    id = wanted;
    previous.hidden = !before;
    next.hidden = !after;
    previous.onclick = () => before && go(before.id);
    next.onclick = () => after && go(after.id);
    name.textContent = item?.name ?? `Picture ${id}`;
    place.textContent = index === undefined ? "" : `${index + 1} of ${count}`;
    drawn = draw(item, stop.signal);
    lamp.show(null);
    explainHit(item, query);
    act();
    words.replaceChildren(
      el("h3", {}, "In words"),
      el("ul", { className: "lines" }, ...Array.from({ length: CAPTIONS }, () => el("li"))),
    );
    facts.replaceChildren();
    const onArrow = dialog.open && !document.activeElement.hidden && stage.contains(document.activeElement);
    if (!dialog.open) dialog.showModal();
    panel.scrollTop = 0;
    if (!onArrow) name.focus({ preventScroll: true });
    fetchFacts(fetchCaptions(query, stop.signal), stop.signal);
    for (const one of [before, after]) if (one) ahead(one.id);
  }

  /** First what the grid has shown already, then more of it. */
  async function draw(item, signal) {
    frame.classList.remove("there");
    frame.hidden = !item;
    if (item) fit(item);
    put(el("img", { className: "full", alt: item?.name ?? "" }));
    if (item?.size) await see(api.thumbnailAddress(id, item.size), signal);
    if (item?.size !== THUMBNAIL) await see(api.thumbnailAddress(id, THUMBNAIL), signal);
  }

  /** Shows what lies at an address once it is there, in place of what was shown before. */
  async function see(address, signal) {
    if (signal.aborted) return;
    const better = el("img", { className: "full", alt: image.alt });
    try {
      await api.show(better, address, signal);
      await better.decode();
    } catch {
      return; // what was there stays
    }
    if (signal.aborted) return;
    put(better);
    frame.classList.add("there");
  }

  function put(other) {
    image.replaceWith(other);
    image = other;
  }

  function fit({ width, height }) {
    frame.style.setProperty("--ratio", width / height);
    frame.style.setProperty("--natural", `${Math.max(width, 240)}px`);
  }

  /** The next picture is there before it is asked for. */
  function ahead(other) {
    if (!api.keyed()) new Image().src = api.thumbnailAddress(other, THUMBNAIL);
  }

  /** Where more pixels would be seen than a thumbnail has, the file itself takes its place. */
  async function sharpen({ format, width, height }, signal) {
    const seenPixels = Math.max(frame.clientWidth, frame.clientHeight) * (window.devicePixelRatio || 1);
    if (seenPixels <= THUMBNAIL * 1.1 || Math.max(width, height) <= THUMBNAIL || !SHOWN_AS_THEY_ARE.includes(format))
      return;
    await drawn;
    await see(api.fileAddress(id), signal);
  }

  // --- why this one ---

  function explainHit(item, query) {
    why.replaceChildren();
    sentence = "";
    seen = null;
    const hit = item?.hit;
    if (hit && hit.match_probability !== null) {
      const share = el("span", { className: "meter", ariaHidden: "true" });
      share.style.setProperty("--share", hit.match_probability);
      why.append(
        el("h3", {}, "Why this one"),
        el(
          "p",
          { className: "statement" },
          el("strong", {}, likelihood(hit.match_probability)),
          ` ${percent(hit.match_probability)}`,
          el("span", { className: "muted" }, " match probability"),
        ),
        share,
        el("p", { className: "muted meaning" }, MEANING),
      );
    } else if (hit) why.append(el("h3", {}, "Why this one"));
    if (query) ask(query, POINT);
    else why.append(el("div", { className: "sentence" }));
    if (hit) why.append(ranks(hit, Boolean(query)));
    if (hit?.matched.length) {
      const sources = hit.sources
        .filter((source) => source !== "vector")
        .map((source) => ({ name: "its name", caption: "a caption" })[source]);
      why.append(el("p", { className: "muted" }, `Found in ${sources.join(" and ")}: ${hit.matched.join(", ")}`));
    }
  }

  /** Only for words there is a second rank: pictures alone are not reranked. */
  function ranks({ rank, retrieval_rank, rerank_score, retrieval_score }, hasWords) {
    const cell = (title, value, note) => el("div", {}, el("dt", {}, title), el("dd", {}, value, el("small", {}, note)));
    const list = el(
      "dl",
      { className: "ranks" },
      cell("Retrieval", `#${retrieval_rank}`, `cosine ${retrieval_score.toFixed(3)}`),
    );
    if (!hasWords) return list;
    const moved = retrieval_rank - rank;
    const note = moved > 0 ? `${moved} up` : moved < 0 ? `${-moved} down` : "unmoved";
    list.append(
      rerank_score === null ? cell("Reranked", "–", "beyond the reranked depth") : cell("Reranked", `#${rank}`, note),
    );
    return list;
  }

  /** Shows a sentence as words that light up the picture. */
  function ask(text, note) {
    sentence = text;
    seen = null;
    why.querySelector(".sentence")?.remove();
    const line = el("div", { className: "sentence" });
    const hint = el("p", { className: "muted hint" }, note);
    line.append(
      wordList(
        text
          .split(/\s+/)
          .filter(Boolean)
          .map((word) => el("span", { className: "word" }, word)),
      ),
      hint,
    );
    const statement = why.querySelector(".ranks");
    if (statement) statement.before(line);
    else why.append(line);
    look(text, line, hint, stop.signal);
  }

  function wordList(children) {
    return el("p", { className: "words" }, ...children.flatMap((child, at) => (at ? [" ", child] : [child])));
  }

  async function look(text, line, hint, signal) {
    try {
      const found = await api.explain(id, text, signal);
      if (signal.aborted || sentence !== text) return;
      seen = found;
      line.firstChild.replaceWith(wordList(found.words.map(wordButton)));
    } catch (error) {
      if (!signal.aborted) hint.textContent = `Where it looked cannot be shown: ${error.message}`;
    }
  }

  function wordButton(word, at) {
    const spot = whereabouts(seen.weights[at]);
    const button = el(
      "button",
      { type: "button", className: "word", ariaLabel: `${word}: ${spot}`, ariaPressed: "false" },
      word,
    );
    const lit = (is) => {
      lamp.show(is ? seen.weights[at] : pressed());
      button.classList.toggle("lit", is);
    };
    button.addEventListener("pointerenter", () => lit(true));
    button.addEventListener("pointerleave", () => lit(false));
    button.addEventListener("focus", () => lit(true));
    button.addEventListener("blur", () => lit(false));
    button.addEventListener("click", () => {
      const is = button.ariaPressed !== "true";
      for (const other of button.parentElement.children) other.ariaPressed = "false";
      button.ariaPressed = String(is);
      lamp.show(is ? seen.weights[at] : null);
      if (is) say(`${word}: ${spot}`);
    });
    return button;
  }

  /** The grid of the word that was clicked, which stays. */
  function pressed() {
    const at = [...why.querySelectorAll(".words button")].findIndex((button) => button.ariaPressed === "true");
    return at < 0 ? null : seen.weights[at];
  }

  // --- what can be done, and what is known ---

  function act() {
    const more = el("button", { type: "button", className: "button main" }, icon("like"), "More like this");
    const here = id;
    more.addEventListener("click", () => like(here));
    const original = el(
      "a",
      { className: "button", href: api.fileAddress(id), target: "_blank", rel: "noopener" },
      icon("open"),
      "Open the file",
    );
    if (api.keyed()) original.addEventListener("click", openWithKey);
    actions.replaceChildren(more, original);
  }

  async function openWithKey(event) {
    event.preventDefault();
    const tab = window.open("", "_blank"); // at once, or it would count as a pop-up
    if (tab === null) return; // the browser forbids it, and says so
    try {
      const url = URL.createObjectURL(await api.file(id, stop.signal));
      tab.location = url;
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // it has been read by then
    } catch {
      tab.close();
    }
  }

  /** They stand below the captions, and so come after them. */
  async function fetchFacts(captions, signal) {
    try {
      const found = await api.image(id, signal);
      if (signal.aborted) return;
      fit(found);
      frame.hidden = false;
      name.textContent = found.name ?? name.textContent;
      image.alt = found.name ?? "";
      sharpen(found, signal);
      await captions;
      if (signal.aborted) return;
      facts.replaceChildren(el("h3", {}, "Details"), details(found));
      if (found.captions.length) own(found.captions);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) {
        name.textContent = "No such picture in the index";
        for (const part of [why, actions, words, facts]) part.replaceChildren();
      } else facts.replaceChildren(el("p", { className: "muted" }, error.message));
    }
  }

  function details({ taken_at, camera, latitude, longitude, folder, size, width, height, format, places }) {
    const list = el("dl", { className: "details" });
    const add = (term, value) => value && list.append(el("dt", {}, term), el("dd", {}, value));
    add(
      "Taken",
      taken_at &&
        new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short", timeZone: "UTC" }).format(
          new Date(`${taken_at}Z`),
        ),
    );
    add("Camera", camera);
    add("Place", latitude !== null && longitude !== null && degrees(latitude, longitude));
    add("Size", `${width} × ${height}, ${megapixels(width, height)}${size === null ? "" : `, ${bytes(size)}`}`);
    add("Format", format);
    add("Folder", folder ?? "Its file is gone");
    const others = places.filter((one) => one.present).slice(1);
    add("Also at", others.map(({ path }) => path).join("\n"));
    return list;
  }

  function own(captions) {
    const texts = captions.slice(0, 5).map(({ text }) => el("li", {}, text));
    facts.append(el("h3", {}, "Its own captions"), el("ul", { className: "own" }, ...texts));
  }

  async function fetchCaptions(query, signal) {
    try {
      const { hits } = await api.captions(id, { k: CAPTIONS }, signal);
      if (signal.aborted) return;
      words.querySelector("ul").replaceChildren(...hits.map(line));
      if (!query && hits.length) ask(hits[0].text, `A caption that fits. ${POINT}`);
    } catch (error) {
      if (!signal.aborted && error.status !== 404)
        words.replaceChildren(el("p", { className: "muted" }, error.message));
    }
  }

  function line({ text, match_probability }) {
    const show = el("button", { type: "button", title: "See where the model looked" }, text);
    show.addEventListener("click", () => {
      ask(text, POINT);
      why.scrollIntoView({ block: "nearest" });
    });
    const find = el(
      "button",
      { type: "button", className: "icon-button", ariaLabel: `Search for “${text}”`, title: "Search for it" },
      icon("search"),
    );
    find.addEventListener("click", () => search(text));
    const share = match_probability === null ? [] : [el("small", {}, percent(match_probability))];
    return el("li", {}, show, ...share, find);
  }

  // --- moving ---

  function arrow(side, label) {
    return el("button", { type: "button", className: `arrow ${side}`, ariaLabel: label, title: label }, icon(side));
  }

  close.addEventListener("click", leave);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const side = { ArrowLeft: previous, ArrowRight: next }[event.key];
    if (side && !side.hidden) {
      event.preventDefault();
      side.click();
    }
  });

  let begun = null; // of a swipe
  stage.addEventListener(
    "touchstart",
    ({ touches }) => {
      begun = touches.length === 1 ? touches[0] : null;
    },
    { passive: true },
  );
  stage.addEventListener("touchend", ({ changedTouches: [end] }) => {
    if (begun === null) return;
    const [across, down] = [end.clientX - begun.clientX, end.clientY - begun.clientY];
    if (Math.abs(across) > 60 && Math.abs(across) > 2 * Math.abs(down)) (across < 0 ? next : previous).click();
  });

  return {
    /** Shows a picture, and why a query found it. */
    show,
    /** Closes the page; answers which picture it showed. */
    hide() {
      const shown = id;
      stop.abort();
      id = null;
      if (dialog.open) dialog.close();
      put(el("img", { className: "full", alt: "" }));
      return shown;
    },
    get id() {
      return id;
    },
  };
}

function degrees(latitude, longitude) {
  const part = (value, positive, negative) => `${Math.abs(value).toFixed(4)}° ${value < 0 ? negative : positive}`;
  return `${part(latitude, "N", "S")}, ${part(longitude, "E", "W")}`;
}

function megapixels(width, height) {
  const value = (width * height) / 1e6;
  return `${value.toFixed(value < 10 ? 1 : 0)} megapixels`;
}

function bytes(size) {
  if (size < 1e6) return `${Math.round(size / 1e3)} kB`;
  return `${(size / 1e6).toFixed(1)} MB`;
}
