/* A picture's page: the picture, why it matched, its captions, and its metadata. */

import * as api from "./api.js";
import { light, whereabouts } from "./attention.js";
import { el, icon } from "./dom.js";
import { stars } from "./filters.js";
import { likelihood, MEANING, percent } from "./probability-words.js";

const WEB_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]; // shown by every browser
const THUMBNAIL = 1024; // pixels
const CAPTIONS = 4;
const HINT = "Point at a word, or tap it, to see where the model looked for it.";

/**
 * Creates the page in a <dialog>.
 *
 * `around(id)` returns the picture's item, its neighbours and its index. `go(id)` shows another picture, `leave()` closes
 * the page, `like(id)` searches for similar pictures and `search(text)` for a caption.
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
  const captions = el("section", { ariaLabel: "In words" });
  const details = el("section", { ariaLabel: "Details" });
  const panel = el("div", { className: "panel", tabIndex: 0, role: "group", ariaLabel: "About this picture" });
  panel.append(el("header", {}, el("div", {}, name, place), close), why, actions, captions, details);
  dialog.append(stage, panel);

  let id = null;
  let pending = new AbortController(); // of the requests for this picture
  let drawn = Promise.resolve(); // resolves when the thumbnail is shown
  let sentence = ""; // the explained sentence
  let attention = null; // { words, weights, probabilities } of that sentence

  // --- showing ---

  function show(newId, query) {
    const { item, index, count, ...neighbours } = around(newId);
    pending.abort();
    pending = new AbortController();
    id = newId;
    previous.hidden = !neighbours.previous;
    next.hidden = !neighbours.next;
    previous.onclick = () => neighbours.previous && go(neighbours.previous.id);
    next.onclick = () => neighbours.next && go(neighbours.next.id);
    name.textContent = item?.name ?? `Picture ${id}`;
    place.textContent = index === undefined ? "" : `${index + 1} of ${count}`;
    drawn = draw(item, pending.signal);
    lamp.show(null);
    explainHit(item, query);
    drawActions();
    captions.replaceChildren(
      el("h3", {}, "In words"),
      el("ul", { className: "lines" }, ...Array.from({ length: CAPTIONS }, () => el("li"))),
    );
    details.replaceChildren();
    const isArrowFocused = dialog.open && !document.activeElement.hidden && stage.contains(document.activeElement);
    if (!dialog.open) dialog.showModal();
    panel.scrollTop = 0;
    if (!isArrowFocused) name.focus({ preventScroll: true });
    fetchDetails(fetchCaptions(query, pending.signal), pending.signal);
    for (const neighbour of [neighbours.previous, neighbours.next]) if (neighbour) preload(neighbour.id);
  }

  /** Shows the grid's thumbnail, which is cached, and then a larger one. */
  async function draw(item, signal) {
    frame.classList.remove("there");
    frame.hidden = !item;
    if (item) fit(item);
    replaceImage(el("img", { className: "full", alt: item?.name ?? "" }));
    if (item?.size) await load(api.thumbnailAddress(id, item.size), signal);
    if (item?.size !== THUMBNAIL) await load(api.thumbnailAddress(id, THUMBNAIL), signal);
  }

  /** Loads an image, and replaces the shown one when it is decoded. */
  async function load(address, signal) {
    if (signal.aborted) return;
    const loaded = el("img", { className: "full", alt: image.alt });
    try {
      await api.show(loaded, address, signal);
      await loaded.decode();
    } catch {
      return; // keep the shown one
    }
    if (signal.aborted) return;
    replaceImage(loaded);
    frame.classList.add("there");
  }

  function replaceImage(other) {
    image.replaceWith(other);
    image = other;
  }

  function fit({ width, height }) {
    frame.style.setProperty("--ratio", width / height);
    frame.style.setProperty("--natural", `${Math.max(width, 240)}px`);
  }

  function preload(neighbour) {
    if (!api.hasKey()) new Image().src = api.thumbnailAddress(neighbour, THUMBNAIL);
  }

  /** Shows the file itself if the thumbnail has too few pixels for the screen. */
  async function sharpen({ format, width, height }, signal) {
    const pixels = Math.max(frame.clientWidth, frame.clientHeight) * (window.devicePixelRatio || 1);
    if (pixels <= THUMBNAIL * 1.1 || Math.max(width, height) <= THUMBNAIL || !WEB_FORMATS.includes(format)) return;
    await drawn;
    await load(api.fileAddress(id), signal);
  }

  // --- why this one ---

  function explainHit(item, query) {
    why.replaceChildren();
    sentence = "";
    attention = null;
    const hit = item?.hit;
    if (hit && hit.match_probability !== null) {
      const share = el("span", { className: "meter", ariaHidden: "true" });
      share.style.setProperty("--share", hit.match_probability);
      why.append(
        el("h3", {}, "Why this one"),
        el(
          "p",
          { className: "statement" },
          el("strong", {}, likelihood(hit)),
          ` ${percent(hit.match_probability)}`,
          el("span", { className: "muted" }, " match probability"),
        ),
        share,
        hit.describes ? el("p", { className: "muted meaning" }, MEANING) : "",
      );
    } else if (hit) why.append(el("h3", {}, "Why this one"));
    if (query) showSentence(query, HINT);
    else why.append(el("div", { className: "sentence" }));
    if (hit) why.append(ranks(hit, Boolean(query)));
    if (hit?.matched.length) {
      const sources = hit.sources
        .filter((source) => source !== "vector")
        .map((source) => ({ name: "its name", caption: "a caption", annotation: "what the picture says" })[source]);
      why.append(el("p", { className: "muted" }, `Found in ${sources.join(" and ")}: ${hit.matched.join(", ")}`));
    }
  }

  /** The retrieval rank and, for a query with words, the rank after reranking. */
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

  /** Shows a sentence; its words become buttons once their attention is known. */
  function showSentence(text, note) {
    sentence = text;
    attention = null;
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
    const ranking = why.querySelector(".ranks");
    if (ranking) ranking.before(line);
    else why.append(line);
    fetchAttention(text, line, hint, pending.signal);
  }

  function wordList(children) {
    return el("p", { className: "words" }, ...children.flatMap((child, index) => (index ? [" ", child] : [child])));
  }

  async function fetchAttention(text, line, hint, signal) {
    try {
      const answer = await api.explain(id, text, signal);
      if (signal.aborted || sentence !== text) return;
      attention = answer;
      line.firstChild.replaceWith(wordList(attention.words.map(wordButton)));
    } catch (error) {
      if (!signal.aborted) hint.textContent = `The attention cannot be shown: ${error.message}`;
    }
  }

  function wordButton(word, index) {
    const weights = heatOf(index);
    const spot = weights ? whereabouts(weights) : "probably not in this picture";
    const button = el(
      "button",
      { type: "button", className: "word", ariaLabel: `${word}: ${spot}`, ariaPressed: "false" },
      word,
    );
    button.classList.toggle("absent", !weights);
    if (!weights) button.title = "Probably not in this picture";
    const highlight = (isLit) => {
      lamp.show(isLit ? weights : pressedWeights());
      button.classList.toggle("lit", isLit);
    };
    button.addEventListener("pointerenter", () => highlight(true));
    button.addEventListener("pointerleave", () => highlight(false));
    button.addEventListener("focus", () => highlight(true));
    button.addEventListener("blur", () => highlight(false));
    button.addEventListener("click", () => {
      const isPressed = button.ariaPressed !== "true";
      for (const other of button.parentElement.children) other.ariaPressed = "false";
      button.ariaPressed = String(isPressed);
      lamp.show(isPressed ? weights : null);
      if (isPressed) say(`${word}: ${spot}`);
    });
    return button;
  }

  /** The weights of a word; null if nothing in the picture matches it. */
  function heatOf(index) {
    return attention.absent[index] ? null : attention.weights[index];
  }

  /** The weights of the word that was clicked, or null. */
  function pressedWeights() {
    const index = [...why.querySelectorAll(".words button")].findIndex((button) => button.ariaPressed === "true");
    return index < 0 ? null : heatOf(index);
  }

  // --- actions, details and captions ---

  function drawActions() {
    const more = el("button", { type: "button", className: "button main" }, icon("like"), "More like this");
    const shownId = id;
    more.addEventListener("click", () => like(shownId));
    const original = el(
      "a",
      { className: "button", href: api.fileAddress(id), target: "_blank", rel: "noopener" },
      icon("open"),
      "Open the file",
    );
    if (api.hasKey()) original.addEventListener("click", openWithKey);
    actions.replaceChildren(more, original);
  }

  async function openWithKey(event) {
    event.preventDefault();
    const tab = window.open("", "_blank"); // before any await, or the browser blocks it as a pop-up
    if (tab === null) return; // blocked, as the browser says
    try {
      const url = URL.createObjectURL(await api.file(id, pending.signal));
      tab.location = url;
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // loaded by then
    } catch {
      tab.close();
    }
  }

  /** Fetches the metadata, but shows it after the captions above it, so that nothing moves. */
  async function fetchDetails(captionsShown, signal) {
    try {
      const metadata = await api.image(id, signal);
      if (signal.aborted) return;
      fit(metadata);
      frame.hidden = false;
      name.textContent = metadata.name ?? name.textContent;
      image.alt = metadata.name ?? "";
      sharpen(metadata, signal);
      await captionsShown;
      if (signal.aborted) return;
      details.replaceChildren(el("h3", {}, "Details"), detailList(metadata));
      if (metadata.captions.length) appendOwnCaptions(metadata.captions);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) {
        name.textContent = "No such picture in the index";
        for (const part of [why, actions, captions, details]) part.replaceChildren();
      } else details.replaceChildren(el("p", { className: "muted" }, error.message));
    }
  }

  function detailList(metadata) {
    const { taken_at, camera, latitude, longitude, folder, size, width, height, format, places } = metadata;
    const list = el("dl", { className: "details" });
    const add = (term, value) => value && list.append(el("dt", {}, term), el("dd", {}, value));
    add("Title", metadata.title);
    add("Description", metadata.description);
    add("People", metadata.persons.join(", "));
    add("Keywords", metadata.keywords.join(", "));
    add("Rating", metadata.rating === null ? "" : stars(metadata.rating));
    add("Taken", taken_at && dateText(taken_at, metadata.date_source));
    add("Place", metadata.place_names.join(", "));
    add("Position", latitude !== null && longitude !== null && degrees(latitude, longitude));
    add("Camera", camera);
    add("Lens", metadata.lens);
    add("By", metadata.creator);
    add("Copyright", metadata.copyright);
    add("Size", `${width} × ${height}, ${megapixels(width, height)}${size === null ? "" : `, ${bytes(size)}`}`);
    add("Format", format);
    add("Folder", folder ?? "Its file is gone");
    const others = places.filter(({ present }) => present).slice(1);
    add("Also at", others.map(({ path }) => path).join("\n"));
    return list;
  }

  function appendOwnCaptions(own) {
    const texts = own.slice(0, 5).map(({ text }) => el("li", {}, text));
    details.append(el("h3", {}, "Its own captions"), el("ul", { className: "own" }, ...texts));
  }

  async function fetchCaptions(query, signal) {
    try {
      const { hits } = await api.captions(id, { k: CAPTIONS }, signal);
      if (signal.aborted) return;
      if (hits.length) captions.querySelector("ul").replaceChildren(...hits.map(captionLine));
      else captions.querySelector("ul").replaceWith(el("p", { className: "muted" }, "No caption fits this picture."));
      if (!query && hits.length) showSentence(hits[0].text, `A caption that fits. ${HINT}`);
    } catch (error) {
      if (!signal.aborted && error.status !== 404)
        captions.replaceChildren(el("p", { className: "muted" }, error.message));
    }
  }

  function captionLine({ text, match_probability }) {
    const show = el("button", { type: "button", title: "See where the model looked" }, text);
    show.addEventListener("click", () => {
      showSentence(text, HINT);
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

  // --- navigation ---

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

  let touch = null; // the start of a swipe
  stage.addEventListener(
    "touchstart",
    ({ touches }) => {
      touch = touches.length === 1 ? touches[0] : null;
    },
    { passive: true },
  );
  stage.addEventListener("touchend", ({ changedTouches: [end] }) => {
    if (touch === null) return;
    const [across, down] = [end.clientX - touch.clientX, end.clientY - touch.clientY];
    if (Math.abs(across) > 60 && Math.abs(across) > 2 * Math.abs(down)) (across < 0 ? next : previous).click();
  });

  return {
    /** Shows a picture, and why a query found it. */
    show,
    /** Closes the page; returns the id of the picture it showed. */
    hide() {
      const shown = id;
      pending.abort();
      id = null;
      if (dialog.open) dialog.close();
      replaceImage(el("img", { className: "full", alt: "" }));
      return shown;
    },
    get id() {
      return id;
    },
  };
}

/** A capture time in words; one that the camera did not record says where it is from. */
function dateText(takenAt, source) {
  const time = takenAt.includes("T") ? { timeStyle: "short" } : {};
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "full", ...time, timeZone: "UTC" });
  const from = source === "name" ? ", by its name" : "";
  return format.format(new Date(takenAt.includes("T") ? `${takenAt}Z` : takenAt)) + from;
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
