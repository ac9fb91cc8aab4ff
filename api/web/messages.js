/* What an answer comes to, in words. */

import { filtered, NOTHING } from "./address.js";
import { isNoMatch, likely } from "./probability-words.js";

/** Whether words were looked for and no picture is likely to show them. Hits come likeliest first. */
export function matchesNothing(asked, found) {
  return asked.q.trim() !== "" && found.items.length > 0 && isNoMatch(asked.q, found.items[0].hit);
}

/** What screen readers say of an answer. */
export function announcement(asked, found) {
  const [first] = found.items;
  if (!first) return "No pictures";
  if (matchesNothing(asked, found)) return `No good match for ${found.query}. The nearest pictures follow.`;
  if (asked.q.trim()) {
    const how = likely(first.hit.match_probability).toLowerCase();
    return `Pictures for ${found.query}. The first is ${how}: ${first.name}`;
  }
  return asked.like || asked.upload ? "Pictures like this one" : "All pictures, newest first";
}

/** What stands there where nothing was found, and what can be done about it; `go` changes what is asked for. */
export function emptyState(asked, go) {
  const text = asked.q.trim();
  if (filtered(asked)) {
    const { q, like, upload } = asked;
    return {
      picture: "search",
      title: "Nothing passes these filters",
      text: text ? `No picture that passes them was found for “${text}”.` : "No picture passes all of them.",
      buttons: [["Clear filters", () => go({ ...NOTHING, q, like, upload })]],
    };
  }
  if (text || asked.like || asked.upload) {
    return {
      picture: "search",
      title: "Nothing found",
      text: "The index holds no picture that could be compared with that.",
      buttons: [["All pictures", () => go({ ...NOTHING })]],
    };
  }
  return {
    picture: "camera",
    title: "No pictures yet",
    text: "Index a folder, and its pictures appear here while that goes on. Nothing leaves this machine.",
    buttons: [["Index a folder", () => go({ view: "indexing" })]],
  };
}

/** What stands there where nothing could be asked. */
export function failureState({ status, message, offline }) {
  if (offline) {
    return {
      picture: "offline",
      title: "crosslook does not answer",
      text: "Is it still running, and is this machine connected to it? The page asks again by itself.",
    };
  }
  const titles = { 401: "This server asks for a key", 422: "That cannot be searched for", 503: "Not now" };
  return { picture: "search", title: titles[status] ?? "Something went wrong", text: message };
}
