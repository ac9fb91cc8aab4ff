/* The query picture and its captions. */

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { likelihood, percent } from "./probability-words.js";
import { uploads } from "./result-pages.js";

/** `search(text)` is called where one of the captions is chosen, `remove()` where the picture is taken away. */
export function queryPicture(host, { search, remove }) {
  let shown = null;
  let stop = new AbortController();
  let url = null;

  /** Shows what an address asks for, if it asks for a picture. */
  return function show({ like, upload }) {
    const wanted = upload ?? like;
    if (wanted === shown) return;
    shown = wanted;
    stop.abort();
    stop = new AbortController();
    if (url) URL.revokeObjectURL(url);
    url = null;
    host.hidden = wanted === null;
    host.replaceChildren();
    if (wanted !== null) draw(upload === null ? like : uploads.get(upload), stop.signal);
  };

  async function draw(picture, signal) {
    const isOurs = typeof picture === "number";
    const image = el("img", { alt: "Query picture" });
    if (isOurs) api.show(image, api.thumbnailAddress(picture, 512), signal);
    else {
      url = URL.createObjectURL(picture);
      image.src = url;
      image.addEventListener("error", () => image.remove()); // a format that browsers do not show
    }
    const list = el("ul", { ariaLabel: "Captions; choose one to search for it" });
    const note = el("p", {}, "Finding captions…");
    const close = el(
      "button",
      { type: "button", className: "icon-button", ariaLabel: "Remove the picture", title: "Remove the picture" },
      icon("close"),
    );
    close.addEventListener("click", remove);
    const title = el("h2", {}, isOurs ? "Pictures like this one" : `Pictures like ${picture.name || "the pasted one"}`);
    host.append(image, el("div", { className: "about" }, title, note, list), close);
    try {
      const { hits } = await api.captions(picture, { k: 6 }, signal);
      note.textContent = hits.length
        ? "Search for a caption, or add words above."
        : "Add words above to refine the search.";
      list.append(...hits.map((hit) => el("li", {}, chip(hit))));
    } catch (error) {
      if (!signal.aborted) note.textContent = `No captions: ${error.message}`;
    }
  }

  function chip({ text, match_probability }) {
    const button = el("button", { type: "button", className: "chip", title: text }, text);
    if (match_probability !== null)
      button.title = `${likelihood(match_probability)}, ${percent(match_probability)}: ${text}`;
    button.addEventListener("click", () => search(text));
    return button;
  }
}
