/* The page's state, read from and written to the address, so that back, reload and sharing work. */

/** Filters that take several values; an empty value means "not known". */
export const LIST_FILTERS = [
  "folder",
  "camera",
  "format",
  "orientation",
  "keyword",
  "person",
  "place",
  "rating",
  "lens",
];

const VIEWS = ["indexing", "compare"];
const DAY = /^\d{4}(-\d\d(-\d\d)?)?$/;

/** The default state: all pictures, newest first. */
export const DEFAULT_STATE = {
  q: "",
  like: null, // id of an indexed image
  upload: null, // key of an uploaded picture, which is lost when the page is closed
  ...Object.fromEntries(LIST_FILTERS.map((name) => [name, []])),
  from: "", // year, month or day; both ends inclusive
  to: "",
  undated: false,
  picture: null, // id of the image whose page is open
  view: null,
};

/** The state that the address holds. */
export function read() {
  const params = new URLSearchParams(location.search);
  const view = params.get("view");
  return {
    ...DEFAULT_STATE,
    ...Object.fromEntries(LIST_FILTERS.map((name) => [name, [...new Set(params.getAll(name))]])),
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

/** The address for a state, relative to the page: a proxy may serve it below a path. */
export function address(state) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (Array.isArray(value)) for (const item of value) params.append(name, item);
    else if (value === true) params.set(name, "");
    else if (value) params.set(name, value);
  }
  return params.size ? `./?${params.toString().replace(/=(?=&|$)/g, "")}` : "./";
}

/** Identifies the query of a state: states with equal keys show the same pictures. */
export function queryKey(state) {
  return address({ ...state, q: state.q.trim(), picture: null, view: null });
}

/** The number of active filters. */
export function filtered(state) {
  return (
    LIST_FILTERS.reduce((sum, name) => sum + state[name].length, 0) + (state.from || state.to || state.undated ? 1 : 0)
  );
}

/** The filter expressions of a state for the API, without the filter `except`. */
export function where(state, except = null) {
  const clauses = [];
  for (const name of LIST_FILTERS) {
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
