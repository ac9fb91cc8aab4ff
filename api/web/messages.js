/* The messages about an answer: for screen readers, for an empty grid, and for failures. */

import { DEFAULT_STATE, filtered } from "./address.js";
import { likelihood } from "./probability-words.js";

/** What screen readers announce about an answer. */
export function announcement(state, answer) {
  const [first] = answer.items;
  if (!first) return "No pictures";
  if (answer.noMatch) return `No good match for ${answer.query}. The nearest pictures follow.`;
  if (state.q.trim()) {
    const how = likelihood(first.hit).toLowerCase();
    return `Pictures for ${answer.query}. The first is ${how && `${how}: `}${first.name}`;
  }
  return state.like || state.upload ? "Pictures like this one" : "All pictures, newest first";
}

/** The state shown instead of an empty grid, with a way out; `go` changes the page's state. */
export function emptyState(state, go) {
  const text = state.q.trim();
  if (filtered(state)) {
    const { q, like, upload } = state;
    return {
      picture: "search",
      title: "No pictures match these filters",
      text: text ? `No picture matches both “${text}” and the filters.` : "Remove a filter to see more.",
      buttons: [["Clear filters", () => go({ ...DEFAULT_STATE, q, like, upload })]],
    };
  }
  if (text || state.like || state.upload) {
    return {
      picture: "search",
      title: "No matching pictures",
      text: "The index has no pictures to compare with.",
      buttons: [["All pictures", () => go({ ...DEFAULT_STATE })]],
    };
  }
  return {
    picture: "camera",
    title: "No pictures yet",
    text: "Index a folder, and its pictures appear here as they are read. Nothing leaves this machine.",
    buttons: [["Index a folder", () => go({ view: "indexing" })]],
  };
}

/** The state shown when a request failed. */
export function failureState({ status, message, offline }) {
  if (offline) {
    return {
      picture: "offline",
      title: "crosslook does not answer",
      text: "Is it still running, and can this machine reach it? The page keeps trying.",
    };
  }
  const titles = {
    401: "This server requires an API key",
    422: "This query cannot be searched",
    503: "Temporarily unavailable",
  };
  return { picture: "search", title: titles[status] ?? "Something went wrong", text: message };
}
