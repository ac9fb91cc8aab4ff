// The comparison: one query answered in two ways, side by side, with lines that show what moved.
//
// A way is a model of the index, with or without reranking. Both are asked for the first hundred pictures, so that the
// rank on the other side is known for pictures that are far down there; the first twenty are shown.
// `host` is an empty section; `query()` gives what the page searches for, {text, where}. Two events tell the page what
// happened: "leave" (back to the pictures), and "show" with the id of a picture that was chosen.

import { el } from "./dom.js";
import { percent } from "./probability-words.js";

const ASKED = 100;
const SHOWN = 20;
const SVG = "http://www.w3.org/2000/svg";

export function compare(host, { api, query }) {
  let isOpen = false;
  let models = [];
  let asked = ""; // what the shown answers are for
  let running = new AbortController();

  const title = el("h1", { id: "compare-title", tabIndex: -1 }, "Compare");
  const leave = el("button", { type: "button", className: "button" }, "Back to the pictures");
  const byRank = el("button", { type: "button", className: "button" }, "Without and with reranking");
  const byModel = el("button", { type: "button", className: "button" }, "Two models");
  const lone = el("p", { className: "compare-lone", id: "compare-lone", hidden: true });
  const left = side("Left", "left");
  const right = side("Right", "right");
  const lines = document.createElementNS(SVG, "svg");
  const status = el("p", { className: "compare-summary" });
  const notice = el("div", { className: "view-notice", hidden: true });

  host.role = "main"; // the pictures' own <main> is hidden meanwhile
  host.setAttribute("aria-labelledby", title.id);
  status.setAttribute("role", "status");
  lines.setAttribute("class", "compare-lines");
  lines.setAttribute("aria-hidden", "true");
  lines.setAttribute("preserveAspectRatio", "none");
  host.append(
    el("header", { className: "view-head" }, title, leave),
    el("div", { className: "compare-presets" }, byRank, byModel),
    lone,
    status,
    notice,
    el(
      "div",
      { className: "compare-sides" },
      left.section,
      el("div", { className: "compare-between" }, lines),
      right.section,
    ),
  );

  leave.addEventListener("click", () => host.dispatchEvent(new Event("leave", { bubbles: true })));
  byRank.addEventListener("click", () => choose([models[0].name, false], [models[0].name, true]));
  byModel.addEventListener("click", () => choose([models[0].name, true], [models[1].name, true]));
  left.select.addEventListener("change", run);
  right.select.addEventListener("change", run);
  host.addEventListener("pointerover", light);
  host.addEventListener("focusin", light);
  host.addEventListener("keydown", move);
  addEventListener("online", () => isOpen && run());

  // ---- asking ------------------------------------------------------------------------------------------------------

  async function start() {
    asked = "";
    try {
      const found = (await api.models()).models.filter((model) => model.images);
      if (!found.length || names(found) !== names(models)) offer(found); // else what was chosen stays
      await run();
    } catch (error) {
      tellTrouble(error);
    }
  }

  /** Ask both ways at once; an answer that comes after the next question is dropped. */
  async function run() {
    const { text, where = [] } = query();
    const ways = [left.select.value, right.select.value];
    const question = JSON.stringify([text, where, ways]);
    if (question === asked || !models.length) return;
    asked = question;
    running.abort();
    running = new AbortController();
    const { signal } = running;
    title.textContent = text ? `Compare: “${text}”` : "Compare";
    notice.hidden = true;
    if (!text) {
      clear();
      tell(models.length ? "Type what to look for to compare both answers." : "");
      return;
    }
    host.setAttribute("aria-busy", "true");
    status.textContent = "Searching both ways …";
    try {
      const answers = await Promise.all(
        ways.map((way) => {
          const [model, rerank] = JSON.parse(way);
          return api.search({ text, where, model, rerank, k: ASKED, depth: ASKED }, signal);
        }),
      );
      if (signal.aborted) return;
      show(answers, signal);
    } catch (error) {
      if (signal.aborted) return;
      asked = "";
      clear();
      tellTrouble(error);
    }
    host.removeAttribute("aria-busy");
  }

  /** Offer each model with and without reranking; one model alone can be compared with itself only. */
  function offer(found) {
    models = found;
    for (const { select } of [left, right]) {
      select.replaceChildren(
        ...models.flatMap((model) =>
          [true, false].map((rerank) =>
            el(
              "option",
              { value: JSON.stringify([model.name, rerank]) },
              `${rerank ? "Reranked" : "Retrieval"}, ${model.name}`,
            ),
          ),
        ),
      );
    }
    byRank.disabled = !models.length;
    byModel.disabled = models.length < 2;
    lone.hidden = models.length !== 1;
    lone.replaceChildren("This index has one model. ", el("code", {}, "crosslook models add DIR"), " adds another.");
    if (!models.length) {
      tell("The index is empty: there is nothing to compare yet.");
      return;
    }
    left.select.value = JSON.stringify([models[0].name, false]);
    right.select.value = JSON.stringify([models[0].name, true]);
    pressed();
  }

  function choose(leftWay, rightWay) {
    left.select.value = JSON.stringify(leftWay);
    right.select.value = JSON.stringify(rightWay);
    run();
  }

  /** Tell which of the two buttons stands for what is chosen. */
  function pressed() {
    const [[leftModel, leftRerank], [rightModel, rightRerank]] = [left, right].map(({ select }) =>
      JSON.parse(select.value),
    );
    byRank.setAttribute("aria-pressed", String(leftModel === rightModel && !leftRerank && rightRerank));
    byModel.setAttribute("aria-pressed", String(leftModel !== rightModel && leftRerank && rightRerank));
  }

  // ---- showing -----------------------------------------------------------------------------------------------------

  function show([before, after], signal) {
    pressed();
    const ranks = [before, after].map((answer) => new Map(answer.hits.map((hit) => [hit.image_id, hit.rank])));
    left.fill(before, (id) => change(ranks[1].get(id), ranks[0].get(id), "goes"), signal);
    right.fill(after, (id) => change(ranks[0].get(id), ranks[1].get(id), "came"), signal);
    draw(before.hits, ranks[1]);
    status.textContent = summary(after.hits, ranks);
  }

  /** A line for each picture from its place on the left to its place on the right; one unit is one row. */
  function draw(hits, ranksRight) {
    const rows = Math.max(left.list.childElementCount, right.list.childElementCount, 1);
    lines.setAttribute("viewBox", `0 0 10 ${rows}`);
    lines.replaceChildren();
    for (const { image_id: id, rank } of hits) {
      const there = ranksRight.get(id);
      if (!there || (rank > SHOWN && there > SHOWN)) continue;
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("d", `M0 ${rank - 0.5} C5 ${rank - 0.5} 5 ${there - 0.5} 10 ${there - 0.5}`);
      line.setAttribute("class", there < rank ? "up" : there > rank ? "down" : "same");
      line.dataset.id = id;
      lines.append(line);
    }
  }

  function clear() {
    left.list.replaceChildren();
    right.list.replaceChildren();
    left.figures.textContent = right.figures.textContent = "";
    lines.replaceChildren();
    status.textContent = "";
    host.removeAttribute("aria-busy");
  }

  function side(label, name) {
    const select = el("select", { id: `compare-${name}`, className: "field" });
    const figures = el("p", { className: "compare-figures" });
    const list = el("ol", { className: "compare-hits" });
    const section = el(
      "section",
      { className: `compare-side ${name}` },
      el("label", { htmlFor: select.id }, label),
      select,
      figures,
      list,
    );
    list.setAttribute("aria-label", `${label} answer`);

    function fill(answer, changeOf, signal) {
      figures.textContent = timings(answer.timings_ms);
      list.replaceChildren(...answer.hits.slice(0, SHOWN).map((hit) => row(hit, changeOf(hit.image_id), signal)));
    }
    return { section, select, figures, list, fill };
  }

  function row(hit, moved, signal) {
    const picture = el("img", { alt: "", width: hit.width, height: hit.height, loading: "lazy", decoding: "async" });
    api.show(picture, api.thumbnailAddress(hit.image_id, api.thumbnailSize(160)), signal);
    const button = el(
      "button",
      { type: "button", className: "compare-hit" },
      el("span", { className: "rank" }, String(hit.rank)),
      picture,
      el(
        "span",
        { className: "compare-about" },
        el("span", { className: "name" }, fileName(hit.path) ?? `picture ${hit.image_id}`),
        el("span", { className: "number" }, figure(hit)),
      ),
      el("span", { className: `moved ${moved.way}` }, moved.text),
    );
    button.setAttribute(
      "aria-label",
      `${hit.rank}: ${fileName(hit.path) ?? "picture"}, ${figure(hit)}, ${moved.spoken}`,
    );
    button.addEventListener("click", () =>
      host.dispatchEvent(new CustomEvent("show", { bubbles: true, detail: { id: hit.image_id } })),
    );
    const item = el("li", {}, button);
    item.dataset.id = hit.image_id;
    return item;
  }

  // ---- the same picture on both sides ------------------------------------------------------------------------------

  function light(event) {
    const id = event.target.closest("[data-id]")?.dataset.id;
    for (const element of host.querySelectorAll("[data-id]"))
      element.classList.toggle("lit", element.dataset.id === id);
  }

  /** Up and down go through a list, left and right to the same picture on the other side. */
  function move(event) {
    const item = event.target.closest("li[data-id]");
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    const target = {
      ArrowUp: () => item.previousElementSibling,
      ArrowDown: () => item.nextElementSibling,
      ArrowLeft: () => across(item, left.list),
      ArrowRight: () => across(item, right.list),
    }[event.key]?.();
    if (target === undefined) return;
    event.preventDefault();
    target?.querySelector("button").focus();
  }

  function across(item, list) {
    return list.querySelector(`[data-id="${item.dataset.id}"]`);
  }

  function tell(...what) {
    notice.classList.remove("trouble");
    notice.hidden = false;
    notice.replaceChildren(...what);
  }

  function tellTrouble(error) {
    const again = el("button", { type: "button", className: "button" }, "Try again");
    again.addEventListener("click", start);
    tell(`${error.message} `, again);
    notice.classList.add("trouble");
  }

  return {
    /** Show the comparison; call it again when the query has changed. */
    open() {
      const wasOpen = isOpen;
      isOpen = true;
      host.hidden = false;
      if (wasOpen) {
        run();
        return;
      }
      if (!document.activeElement.matches("input")) title.focus();
      start();
    },
    close() {
      isOpen = false;
      host.hidden = true;
      running.abort();
    },
  };
}

// ---- words ---------------------------------------------------------------------------------------------------------

/** What happened to a picture between its rank there and its rank here: an arrow to see, and words to hear. */
function change(there, here, verb) {
  if (!there) return { way: "new", text: `not in ${ASKED}`, spoken: `not among the first ${ASKED} on the other side` };
  const by = Math.abs(there - here);
  const words = `${verb === "goes" ? "goes to" : "came from"} rank ${there}`;
  if (!by) return { way: "same", text: "=", spoken: "the same rank on the other side" };
  const rises = verb === "goes" ? there < here : here < there;
  return {
    way: rises ? "up" : "down",
    text: `${rises ? "↑" : "↓"} ${verb === "goes" ? "to" : "from"} ${there}`,
    spoken: words,
  };
}

function summary(hits, [before, after]) {
  const shown = hits.slice(0, SHOWN);
  if (!shown.length) return "No picture fits, in either way.";
  const moved = shown.filter((hit) => before.get(hit.image_id) !== hit.rank).length;
  const risen = shown
    .map((hit) => ({ hit, by: (before.get(hit.image_id) ?? ASKED + 1) - hit.rank }))
    .reduce((best, next) => (next.by > best.by ? next : best));
  const text = `${moved} of the first ${shown.length} moved compared with the left.`;
  if (risen.by < 1) return text;
  const from = before.get(risen.hit.image_id);
  return `${text} Furthest up: ${fileName(risen.hit.path) ?? "a picture"}, ${from ? `from ${from}` : "from beyond the list"} to ${after.get(risen.hit.image_id)}.`;
}

function figure({ match_probability: probability, retrieval_score: cosine }) {
  return probability === null ? `cosine ${cosine.toFixed(2)}` : percent(probability);
}

function timings(milliseconds) {
  return ["encode", "retrieve", "rerank", "total"]
    .filter((stage) => stage in milliseconds)
    .map((stage) => `${stage} ${milliseconds[stage].toFixed(0)} ms`)
    .join(" · ");
}

function names(models) {
  return models.map(({ name }) => name).join("\n");
}

function fileName(path) {
  return path?.split("/").at(-1);
}
