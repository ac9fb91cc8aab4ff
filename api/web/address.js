/* What the page shows, as it stands in the address: so back, reload and sharing work. */

export const LISTS = ["folder", "camera", "format", "orientation"];
/** Filters of which several values may be chosen; an empty value is "not known". */

const VIEWS = ["indexing", "compare"];
const DAY = /^\d{4}(-\d\d(-\d\d)?)?$/;

/** Nothing asked: all pictures, newest first. */
export const NOTHING = {
  q: "",
  like: null, // id of an indexed image
  upload: null, // name of a picture that was dropped; it lives as long as the page
  folder: [],
  camera: [],
  format: [],
  orientation: [],
  from: "", // year, month or day, first and last included
  to: "",
  undated: false,
  picture: null, // id of the image whose page is open
  view: null,
};

/** What the address says. */
export function read() {
  const given = new URLSearchParams(location.search);
  const view = given.get("view");
  return {
    ...NOTHING,
    ...Object.fromEntries(LISTS.map((name) => [name, [...new Set(given.getAll(name))]])),
    q: given.get("q") ?? "",
    like: id(given.get("like")),
    upload: given.get("upload"),
    from: day(given.get("from")),
    to: day(given.get("to")),
    undated: given.has("undated"),
    picture: id(given.get("picture")),
    view: VIEWS.includes(view) ? view : null,
  };
}

/** The address that says it. */
export function address(asked) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    if (Array.isArray(value)) for (const one of value) said.append(name, one);
    else if (value === true) said.set(name, "");
    else if (value) said.set(name, value);
  }
  return said.size ? `/?${said.toString().replace(/=(?=&|$)/g, "")}` : "/";
}

/** Which pictures it asks for, whatever else the page shows: equal text, equal answer. */
export function question(asked) {
  return address({ ...asked, q: asked.q.trim(), picture: null, view: null });
}

/** How many filters it holds. */
export function filtered(asked) {
  return LISTS.reduce((sum, name) => sum + asked[name].length, 0) + (asked.from || asked.to || asked.undated ? 1 : 0);
}

/** The filters as the API takes them; `except` is left out. */
export function where(asked, except = null) {
  const found = [];
  for (const name of LISTS) {
    if (name !== except && asked[name].length) found.push(asked[name].map((value) => clause(name, value)).join(" or "));
  }
  if (except === "date") return found;
  if (asked.undated) return [...found, "has_date = false"];
  if (asked.from) found.push(`taken_at >= ${asked.from}`);
  if (asked.to) found.push(`taken_at <= ${asked.to}`);
  return found;
}

function clause(name, value) {
  if (value === "") return `${name} != *`;
  const mark = value.includes('"') ? "'" : '"';
  return `${name} = ${mark}${value}${mark}`;
}

function id(text) {
  return /^[1-9]\d{0,14}$/.test(text ?? "") ? Number(text) : null;
}

function day(text) {
  return DAY.test(text ?? "") ? text : "";
}
