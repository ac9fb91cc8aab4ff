/* The filters: each is a button with a list of values and the number of pictures with each. */

import { filtered, LIST_FILTERS, where } from "./address.js";
import { el, icon } from "./dom.js";

const NAMES = {
  date: "Date",
  folder: "Folder",
  camera: "Camera",
  format: "Format",
  orientation: "Shape",
  keyword: "Keyword",
  person: "Person",
  place: "Place",
  rating: "Rating",
  lens: "Lens",
};
const FACETS = {
  folder: "folders",
  camera: "cameras",
  format: "formats",
  orientation: "orientations",
  keyword: "keywords",
  person: "persons",
  place: "places",
  rating: "ratings",
  lens: "lenses",
};
const OPTIONAL = ["keyword", "person", "place", "rating", "lens"]; // shown if a picture has such a value
const LAST_DAY = "9999-12-31"; // or a date field takes years of six digits
const count = new Intl.NumberFormat();

/** `facets(where)` resolves to counts; `change(filters)` is called with the selection. Returns `draw(state)`. */
export function filters(host, { facets, change }) {
  let state = null;
  let hasValues = null; // of each optional filter, once known
  const pills = {};

  for (const name of ["date", ...LIST_FILTERS]) {
    let pending = new AbortController();
    const panel = el("div", {
      className: "choices-panel",
      id: `filter-${name}`,
      popover: "auto",
      role: "group",
      ariaLabel: NAMES[name],
    });
    const button = el("button", { type: "button", className: "pill", ariaExpanded: "false" });
    button.popoverTargetElement = panel;
    panel.addEventListener("beforetoggle", ({ newState }) => {
      button.ariaExpanded = String(newState === "open");
      pending.abort();
      if (newState === "open") {
        pending = new AbortController();
        placeBelow(panel, button);
        fill(name, panel, pending.signal);
      }
    });
    host.append(button, panel);
    pills[name] = { button, panel };
  }
  const all = el("button", { type: "button", className: "pill plain", hidden: true }, "Clear filters");
  all.addEventListener("click", () => {
    change({ ...Object.fromEntries(LIST_FILTERS.map((name) => [name, []])), from: "", to: "", undated: false });
    pills.date.button.focus();
  });
  host.append(all);

  /** Shows the optional filters of which some picture has a value. */
  async function showOptional() {
    if (hasValues === null) {
      hasValues = {};
      try {
        const counts = await facets([]);
        hasValues = Object.fromEntries(OPTIONAL.map((name) => [name, counts[FACETS[name]].length > 0]));
      } catch {
        hasValues = null; // the next draw tries again
      }
    }
    for (const name of OPTIONAL) pills[name].button.hidden = !(hasValues?.[name] || state[name].length);
  }

  async function fill(name, panel, signal) {
    panel.replaceChildren(el("p", { className: "muted" }, "Counting…"));
    try {
      const counts = await facets(where(state, name), signal);
      if (signal.aborted) return;
      panel.replaceChildren(...(name === "date" ? dates(counts) : choices(name, counts[FACETS[name]])));
    } catch (error) {
      if (signal.aborted) return;
      panel.replaceChildren(el("p", { className: "muted" }, error.message));
    }
  }

  function choices(name, values) {
    if (!values.length) return [el("p", { className: "muted" }, "No pictures match the other filters.")];
    const shorten = name === "folder" ? withoutCommonPrefix(values.map(({ value }) => value)) : (value) => value;
    const rows = values.map(({ value, count: n }) => {
      const isChecked = () => state[name].includes(value ?? "");
      const toggle = () => {
        const others = state[name].filter((other) => other !== (value ?? ""));
        change({ [name]: isChecked() ? others : [...others, value ?? ""] });
      };
      const text = value === null ? "Not known" : name === "rating" ? stars(value) : shorten(value);
      return row(text, n, { title: value ?? "", isChecked, toggle });
    });
    return [el("ul", {}, ...rows)];
  }

  function dates(counts) {
    const note = el("p", { className: "note", id: "date-note", role: "status" });
    const range = ["from", "to"].map((end) => {
      const field = el("input", { type: "date", className: "field", max: LAST_DAY });
      field.setAttribute("aria-describedby", note.id);
      field.update = () => {
        const day = dayOf(state[end], end);
        if (field.value !== day) field.value = day;
        if (isReversed(state)) note.textContent = "From is after To, so no picture matches.";
        else if (!field.validity.badInput) note.textContent = "";
      };
      field.update();
      field.addEventListener("blur", () => {
        if (field.validity.badInput) note.textContent = "A date needs day, month and year.";
      });
      field.addEventListener("change", () => change({ [end]: field.value, undated: false }));
      return el("label", {}, end === "from" ? "From" : "To", field);
    });
    const rows = counts.years.map(({ value, count: n }) => {
      const isChecked = () =>
        value === null ? state.undated : !state.undated && state.from === value && state.to === value;
      const toggle = () => {
        const year = value === null || isChecked() ? "" : value;
        change({ undated: value === null && !isChecked(), from: year, to: year });
      };
      return row(value ?? "Without a date", n, { isChecked, toggle });
    });
    return [el("div", { className: "range" }, ...range, note), el("ul", {}, ...rows)];
  }

  /** A row with a checkbox and a count. */
  function row(text, n, { title = "", isChecked, toggle }) {
    const box = el("input", { type: "checkbox" });
    box.update = () => {
      box.checked = isChecked();
    };
    box.update();
    box.addEventListener("change", toggle);
    const counted = el("span", { className: "count" }, count.format(n));
    return el("li", {}, el("label", { title }, box, el("span", {}, text), counted));
  }

  /** Shows the filters of a state. */
  return function draw(newState) {
    state = newState;
    for (const [name, { button }] of Object.entries(pills)) {
      const label = name === "date" ? dateText(state) : listText(name, state[name]);
      button.replaceChildren(el("span", {}, label ?? NAMES[name]), icon("down"));
      button.classList.toggle("on", label !== null);
      button.ariaLabel = label === null ? NAMES[name] : `${NAMES[name]}: ${label}`;
    }
    showOptional();
    for (const input of host.querySelectorAll("input")) input.update(); // in place, so that the focus stays
    all.hidden = filtered(state) === 0;
  };
}

function listText(name, values) {
  if (!values.length) return null;
  if (values.length > 1) return `${NAMES[name]} · ${values.length}`;
  const [value] = values;
  if (value === "") return `${NAMES[name]} not known`;
  if (name === "rating") return stars(value);
  return name === "folder" ? value.split(/[\\/]/).findLast(Boolean) : value;
}

/** A rating in words: stars, or that a picture was rejected. */
export function stars(rating) {
  return Number(rating) < 0 ? "Rejected" : "★".repeat(Number(rating)) || "No stars";
}

function dateText({ from, to, undated }) {
  if (undated) return "Without a date";
  if (!from && !to) return null;
  if (from === to) return from;
  return from && to ? `${from} – ${to}` : from ? `since ${from}` : `until ${to}`;
}

/** The first or last day of a year or month, for a date input. */
function dayOf(text, end) {
  if (text.length === 4) return end === "from" ? `${text}-01-01` : `${text}-12-31`;
  if (text.length === 7) {
    const [year, month] = text.split("-").map(Number);
    return `${text}-${end === "from" ? "01" : new Date(Date.UTC(year, month, 0)).getUTCDate()}`;
  }
  return text;
}

function isReversed({ from, to }) {
  return from !== "" && to !== "" && dayOf(from, "from") > dayOf(to, "to");
}

/** Returns a function that removes the common prefix of some folders. */
function withoutCommonPrefix(folders) {
  const parts = folders.map((folder) => folder.split("/"));
  let same = 0;
  while (parts.every((names) => names.length > same + 1 && names[same] === parts[0][same])) same += 1;
  return (folder) => folder.split("/").slice(same).join("/") || folder;
}

/** Places a panel below its button; on narrow screens the CSS puts it at the bottom instead. */
function placeBelow(panel, button) {
  const { left, bottom } = button.getBoundingClientRect();
  panel.style.setProperty("--left", `${Math.max(8, Math.min(left, window.innerWidth - 340))}px`);
  panel.style.setProperty("--top", `${bottom + 8}px`);
}
