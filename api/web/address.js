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
  const params = new URLSearchParams(location.search);
  const view = params.get("view");
  return {
    ...NOTHING,
    ...Object.fromEntries(LISTS.map((name) => [name, [...new Set(params.getAll(name))]])),
    q: params.get("q") ?? "",
    like: id(params.get("like")),
    upload: params.get("upload"),
    from: day(params.get("from")),
    to: day(params.get("to")),
    undated: params.has("undated"),
    picture: id(params.get("picture")),
    view: VIEWS.includes(view) ? view : null,
  };
}

/** The address that says it. */
export function address(state) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (Array.isArray(value)) for (const one of value) params.append(name, one);
    else if (value === true) params.set(name, "");
    else if (value) params.set(name, value);
  }
  return params.size ? `/?${params.toString().replace(/=(?=&|$)/g, "")}` : "/";
}

/** Which pictures it asks for, whatever else the page shows: equal text, equal answer. */
export function question(state) {
  return address({ ...state, q: state.q.trim(), picture: null, view: null });
}

/** How many filters it holds. */
export function filtered(state) {
  return LISTS.reduce((sum, name) => sum + state[name].length, 0) + (state.from || state.to || state.undated ? 1 : 0);
}

/** The filters as the API takes them; `except` is left out. */
export function where(state, except = null) {
  const clauses = [];
  for (const name of LISTS) {
    if (name !== except && state[name].length)
      clauses.push(state[name].map((value) => clause(name, value)).join(" or "));
  }
  if (except === "date") return clauses;
  if (state.undated) return [...clauses, "has_date = false"];
  if (state.from) clauses.push(`taken_at >= ${state.from}`);
  if (state.to) clauses.push(`taken_at <= ${state.to}`);
  return clauses;
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
