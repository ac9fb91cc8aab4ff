/* The query picture and its captions. */

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { percent } from "./probability-words.js";
import { uploads } from "./result-pages.js";

/** Calls `search(text)` when a caption is chosen, and `remove()` when the picture is removed. */
export function queryPicture(host, { search, remove }) {
  let shown = null; // key of an upload, or id of an indexed image
  let pending = new AbortController();
  let url = null; // of the shown upload

  /** Shows the query picture of a state, if it has one. */
  return function show({ like, upload }) {
    const key = upload ?? like;
    if (key === shown) return;
    shown = key;
    pending.abort();
    pending = new AbortController();
    if (url) URL.revokeObjectURL(url);
    url = null;
    host.hidden = key === null;
    host.replaceChildren();
    if (key !== null) draw(upload === null ? like : uploads.get(upload), pending.signal);
  };

  async function draw(picture, signal) {
    const isIndexed = typeof picture === "number";
    const image = el("img", { alt: "Query picture" });
    if (isIndexed) api.show(image, api.thumbnailAddress(picture, 512), signal);
    else {
      url = URL.createObjectURL(picture);
      image.src = url;
      image.addEventListener("error", () => image.remove()); // a format that the browser cannot show
    }
    const list = el("ul", { ariaLabel: "Captions; choose one to search for it" });
    const note = el("p", {}, "Finding captions…");
    const close = el(
      "button",
      { type: "button", className: "icon-button", ariaLabel: "Remove the picture", title: "Remove the picture" },
      icon("close"),
    );
    close.addEventListener("click", remove);
    const title = el(
      "h2",
      {},
      isIndexed ? "Pictures like this one" : `Pictures like ${picture.name || "the pasted one"}`,
    );
    host.append(image, el("div", { className: "about" }, title, note, list), close);
    try {
      const { hits } = await api.captions(picture, { k: 6 }, signal);
      note.textContent = hits.length
        ? "Search for a caption, or add words above."
        : "No caption fits this picture. Add words above to refine the search.";
      list.append(...hits.map((hit) => el("li", {}, chip(hit))));
    } catch (error) {
      if (!signal.aborted) note.textContent = `No captions: ${error.message}`;
    }
  }

  function chip({ text, match_probability }) {
    const button = el("button", { type: "button", className: "chip", title: text }, text);
    if (match_probability !== null) button.title = `${percent(match_probability)}: ${text}`;
    button.addEventListener("click", () => search(text));
    return button;
  }
}
