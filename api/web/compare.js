// The comparison: two rankings for one query, side by side, with lines that show what moved.
//
// A ranking is that of a model of the index, with or without reranking. Twenty hits of each are shown, but a hundred are
// requested, so that ranks on the other side are known. `host` is an empty section; `query()` returns what the page
// searches for, { text, where }. The host dispatches "leave" (back to the pictures) and "show" (detail: id of the picture
// to open).

import { el } from "./dom.js";
import { percent } from "./probability-words.js";

const REQUESTED = 100; // hits per side
const SHOWN = 20;
const SVG = "http://www.w3.org/2000/svg";

export function compare(host, { api, query }) {
  let isOpen = false;
  let models = [];
  let requestKey = ""; // identifies the last request
  let pending = new AbortController();

  const title = el("h1", { id: "compare-title", tabIndex: -1 }, "Compare");
  const leave = el("button", { type: "button", className: "button" }, "Back to the pictures");
  const compareReranking = el("button", { type: "button", className: "button" }, "Without and with reranking");
  const compareModels = el("button", { type: "button", className: "button" }, "Two models");
  const oneModelNote = el("p", { className: "compare-lone", id: "compare-lone", hidden: true });
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
    el("div", { className: "compare-presets" }, compareReranking, compareModels),
    oneModelNote,
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
  compareReranking.addEventListener("click", () => compareRankings([models[0].name, false], [models[0].name, true]));
  compareModels.addEventListener("click", () => compareRankings([models[0].name, true], [models[1].name, true]));
  left.select.addEventListener("change", run);
  right.select.addEventListener("change", run);
  host.addEventListener("pointerover", highlight);
  host.addEventListener("focusin", highlight);
  host.addEventListener("keydown", moveFocus);
  addEventListener("online", () => isOpen && run());

  // ---- asking ------------------------------------------------------------------------------------------------------

  async function start() {
    requestKey = "";
    try {
      const usable = (await api.models()).models.filter((model) => model.images);
      if (!usable.length || names(usable) !== names(models)) setModels(usable); // else keep the selection
      await run();
    } catch (error) {
      showError(error);
    }
  }

  /** Requests both rankings; aborts an earlier request. */
  async function run() {
    const { text, where = [] } = query();
    const rankings = [left.select.value, right.select.value];
    const key = JSON.stringify([text, where, rankings]);
    if (key === requestKey || !models.length) return;
    requestKey = key;
    pending.abort();
    pending = new AbortController();
    const { signal } = pending;
    title.textContent = text ? `Compare: “${text}”` : "Compare";
    notice.hidden = true;
    if (!text) {
      clear();
      showNotice("Type what to look for to compare both rankings.");
      return;
    }
    host.setAttribute("aria-busy", "true");
    status.textContent = "Searching …";
    try {
      const answers = await Promise.all(
        rankings.map((ranking) => {
          const [model, rerank] = JSON.parse(ranking);
          return api.search({ text, where, model, rerank, k: REQUESTED, depth: REQUESTED }, signal);
        }),
      );
      if (signal.aborted) return;
      show(answers, signal);
    } catch (error) {
      if (signal.aborted) return;
      requestKey = "";
      clear();
      showError(error);
    }
    host.removeAttribute("aria-busy");
  }

  /** Lists each model with and without reranking, and selects the first one's two rankings. */
  function setModels(usable) {
    models = usable;
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
    compareReranking.disabled = !models.length;
    compareModels.disabled = models.length < 2;
    oneModelNote.hidden = models.length !== 1;
    oneModelNote.replaceChildren(
      "This index has one model. ",
      el("code", {}, "crosslook models add DIR"),
      " adds another.",
    );
    if (!models.length) {
      showNotice("The index is empty, so there is nothing to compare.");
      return;
    }
    left.select.value = JSON.stringify([models[0].name, false]);
    right.select.value = JSON.stringify([models[0].name, true]);
    markPreset();
  }

  function compareRankings(leftRanking, rightRanking) {
    left.select.value = JSON.stringify(leftRanking);
    right.select.value = JSON.stringify(rightRanking);
    run();
  }

  /** Marks the preset button that matches the selection. */
  function markPreset() {
    const [[leftModel, leftRerank], [rightModel, rightRerank]] = [left, right].map(({ select }) =>
      JSON.parse(select.value),
    );
    compareReranking.setAttribute("aria-pressed", String(leftModel === rightModel && !leftRerank && rightRerank));
    compareModels.setAttribute("aria-pressed", String(leftModel !== rightModel && leftRerank && rightRerank));
  }

  // ---- showing -----------------------------------------------------------------------------------------------------

  function show(answers, signal) {
    markPreset();
    const [leftRanks, rightRanks] = answers.map(({ hits }) => new Map(hits.map((hit) => [hit.image_id, hit.rank])));
    left.fill(answers[0], (id) => movement(leftRanks.get(id), rightRanks.get(id), "left"), signal);
    right.fill(answers[1], (id) => movement(rightRanks.get(id), leftRanks.get(id), "right"), signal);
    drawLines(answers[0].hits, rightRanks);
    status.textContent = summary(answers[1].hits, leftRanks);
  }

  /** Draws a line for each picture from its row on the left to its row on the right; one unit is one row. */
  function drawLines(hits, rightRanks) {
    const rows = Math.max(left.list.childElementCount, right.list.childElementCount, 1);
    lines.setAttribute("viewBox", `0 0 10 ${rows}`);
    lines.replaceChildren();
    for (const { image_id: id, rank } of hits) {
      const rightRank = rightRanks.get(id);
      if (!rightRank || (rank > SHOWN && rightRank > SHOWN)) continue;
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("d", `M0 ${rank - 0.5} C5 ${rank - 0.5} 5 ${rightRank - 0.5} 10 ${rightRank - 0.5}`);
      line.setAttribute("class", rightRank < rank ? "up" : rightRank > rank ? "down" : "same");
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

    function fill(answer, movementOf, signal) {
      figures.textContent = timingsText(answer.timings_ms);
      list.replaceChildren(...answer.hits.slice(0, SHOWN).map((hit) => row(hit, movementOf(hit.image_id), signal)));
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
        el("span", { className: "number" }, scoreText(hit)),
      ),
      el("span", { className: `moved ${moved.direction}` }, moved.text),
    );
    button.setAttribute(
      "aria-label",
      `${hit.rank}: ${fileName(hit.path) ?? "picture"}, ${scoreText(hit)}, ${moved.spoken}`,
    );
    button.addEventListener("click", () =>
      host.dispatchEvent(new CustomEvent("show", { bubbles: true, detail: { id: hit.image_id } })),
    );
    const item = el("li", {}, button);
    item.dataset.id = hit.image_id;
    return item;
  }

  // ---- the same picture on both sides ------------------------------------------------------------------------------

  function highlight(event) {
    const id = event.target.closest("[data-id]")?.dataset.id;
    for (const element of host.querySelectorAll("[data-id]"))
      element.classList.toggle("lit", element.dataset.id === id);
  }

  /** Up and down move within a list, left and right to the same picture on the other side. */
  function moveFocus(event) {
    const item = event.target.closest("li[data-id]");
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    const target = {
      ArrowUp: () => item.previousElementSibling,
      ArrowDown: () => item.nextElementSibling,
      ArrowLeft: () => rowIn(left.list, item),
      ArrowRight: () => rowIn(right.list, item),
    }[event.key]?.();
    if (target === undefined) return;
    event.preventDefault();
    target?.querySelector("button").focus();
  }

  function rowIn(list, item) {
    return list.querySelector(`[data-id="${item.dataset.id}"]`);
  }

  function showNotice(...content) {
    notice.classList.remove("trouble");
    notice.hidden = false;
    notice.replaceChildren(...content);
  }

  function showError(error) {
    const again = el("button", { type: "button", className: "button" }, "Try again");
    again.addEventListener("click", start);
    showNotice(`${error.message} `, again);
    notice.classList.add("trouble");
  }

  return {
    /** Shows the comparison; call it again when the query has changed. */
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
      pending.abort();
    },
  };
}

// ---- texts ---------------------------------------------------------------------------------------------------------

/** How a picture's rank differs from the one on the other side, as text with an arrow and for screen readers. */
function movement(rank, otherRank, side) {
  if (!otherRank) {
    return {
      direction: "new",
      text: `not in ${REQUESTED}`,
      spoken: `not among the first ${REQUESTED} on the other side`,
    };
  }
  if (rank === otherRank) return { direction: "same", text: "=", spoken: "the same rank on the other side" };
  const isLeft = side === "left"; // movements are read from left to right
  const rises = isLeft ? otherRank < rank : rank < otherRank;
  return {
    direction: rises ? "up" : "down",
    text: `${rises ? "↑" : "↓"} ${isLeft ? "to" : "from"} ${otherRank}`,
    spoken: `${isLeft ? "goes to" : "came from"} rank ${otherRank}`,
  };
}

/** How many of the hits on the right moved, and which rose most. */
function summary(hits, leftRanks) {
  const shown = hits.slice(0, SHOWN);
  if (!shown.length) return "No matching pictures on either side.";
  const moved = shown.filter((hit) => leftRanks.get(hit.image_id) !== hit.rank).length;
  const rise = (hit) => (leftRanks.get(hit.image_id) ?? REQUESTED + 1) - hit.rank;
  const risen = shown.reduce((best, hit) => (rise(hit) > rise(best) ? hit : best));
  const text = `${moved} of the first ${shown.length} moved compared with the left.`;
  if (rise(risen) < 1) return text;
  const from = leftRanks.get(risen.image_id) ?? "beyond the list";
  return `${text} Furthest up: ${fileName(risen.path) ?? "a picture"}, from ${from} to ${risen.rank}.`;
}

function scoreText({ match_probability: probability, retrieval_score: cosine }) {
  return probability === null ? `cosine ${cosine.toFixed(2)}` : percent(probability);
}

function timingsText(milliseconds) {
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
