/* The timeline: a bar per month, whose height shows the number of pictures. Click one, or drag over several.
   A long time without pictures is one bar, so that a scan from 1931 does not squeeze all others. */

import { where } from "./address.js";
import { el } from "./dom.js";
import { month } from "./result-pages.js";

const MAX_MONTHS = 216; // a longer time is shown in years
const MAX_GAP = 24; // bars in a row without pictures; more are drawn as one
const count = new Intl.NumberFormat();

/** `facets(where)` resolves to counts; `change(filters)` is called with the selected dates. */
export function timeline(host, { facets, change }) {
  const bars = el("div", {
    className: "bars",
    role: "toolbar",
    ariaLabel: "Pictures by time; arrow keys move, Enter selects, Shift+Enter extends the selection",
  });
  const years = el("div", { className: "years", ariaHidden: "true" });
  const tip = el("p", { className: "tip", ariaHidden: "true", hidden: true });
  const undatedButton = el("button", { type: "button", className: "pill undated", hidden: true });
  const marker = el("i", { className: "here", hidden: true });
  host.append(el("div", { className: "track" }, bars, marker, years, tip), undatedButton);

  let state = null;
  let isVisible = false;
  let countedFilters = null; // the filters that the bars are for
  let times = []; // of all bars: "2024-06" or "2024"; of a gap its first
  let position = null; // capture time of the picture at the top of the viewport
  let dragStart = null; // index of the bar where a drag began

  async function draw(newState, visible) {
    state = newState;
    isVisible = visible;
    const filters = where(state, "date");
    const key = JSON.stringify(filters);
    if (visible && key !== countedFilters) {
      countedFilters = key;
      try {
        const facetCounts = await facets(filters);
        if (countedFilters !== key) return; // the filters changed meanwhile
        drawBars(facetCounts);
      } catch {
        if (countedFilters !== key) return;
        countedFilters = null; // the next draw tries again
      }
    }
    host.hidden = !isVisible || times.length === 0;
    markSelection();
  }

  function drawBars(facetCounts) {
    const dated = new Map(
      facetCounts.months.filter(({ value }) => value !== null).map(({ value, count: n }) => [value, n]),
    );
    const undated = facetCounts.months.find(({ value }) => value === null)?.count ?? 0;
    const months = [...dated.keys()].sort();
    const every = months.length ? span(months[0], months.at(-1)) : [];
    let counts = dated;
    let parts = withGaps(every, counts);
    if (parts.length > MAX_MONTHS) {
      counts = new Map(facetCounts.years.map(({ value, count: n }) => [value, n]));
      parts = withGaps([...new Set(every.map((time) => time.slice(0, 4)))], counts);
    }
    times = parts.map(({ first }) => first);
    const most = Math.max(1, ...counts.values());
    bars.replaceChildren(...parts.map((part, index) => bar(part, index, counts.get(part.first) ?? 0, most)));
    years.replaceChildren(
      ...parts.flatMap(({ first, last }, index) =>
        first === last && first.slice(0, 4) !== times[index - 1]?.slice(0, 4) ? [year(first, index)] : [],
      ),
    );
    hideOverlapping();
    undatedButton.hidden = undated === 0;
    showPosition(position);
    undatedButton.textContent = `No date · ${count.format(undated)}`;
  }

  function bar({ first, last }, index, n, most) {
    const button = el("button", { type: "button", tabIndex: index === times.length - 1 ? 0 : -1, disabled: n === 0 });
    const time = first === last ? name(first) : `${name(first)} to ${name(last)}`;
    button.ariaLabel = `${time}, ${count.format(n)} picture${n === 1 ? "" : "s"}`;
    button.classList.toggle("gap", first !== last);
    button.dataset.place = index;
    button.style.setProperty("--share", n === 0 ? 0 : 0.12 + 0.88 * Math.sqrt(n / most));
    return button;
  }

  function year(time, index) {
    const label = el("span", {}, time.slice(0, 4));
    label.style.left = `${(index / times.length) * 100}%`;
    return label;
  }

  /** Hides year labels that would overlap. */
  function hideOverlapping() {
    let end = -Infinity;
    for (const label of years.children) {
      label.hidden = false;
      const left = (parseFloat(label.style.left) / 100) * years.clientWidth;
      label.hidden = left < end || left > years.clientWidth - 28;
      if (!label.hidden) end = left + 44;
    }
  }
  new ResizeObserver(() => {
    hideOverlapping();
    showPosition(position);
  }).observe(years);

  /** Marks the date of the picture at the top of the viewport. */
  function showPosition(taken) {
    position = taken;
    const index = taken === null ? -1 : times.indexOf(taken.slice(0, times[0]?.length));
    marker.hidden = index < 0;
    marker.style.transform = `translateX(${((index + 0.5) / times.length) * bars.clientWidth}px)`;
  }

  /** Marks the bars between two dates. */
  function markSelection(first = state.from, last = state.to) {
    const isSelective = Boolean(first || last);
    host.classList.toggle("chosen", isSelective || state.undated);
    for (const button of bars.children) {
      const time = times[button.dataset.place];
      const isWithin =
        isSelective && (!first || time >= first.slice(0, time.length)) && (!last || time <= last.slice(0, time.length));
      button.ariaPressed = String(isWithin);
    }
    undatedButton.ariaPressed = String(state.undated);
    undatedButton.classList.toggle("on", state.undated);
  }

  /** Selects the time between two bars; selecting it again clears the selection. */
  function select(one, other) {
    const [first, last] = [times[Math.min(one, other)], times[Math.max(one, other)]];
    const isSame = state.from === first && state.to === last;
    change({ from: isSame ? "" : first, to: isSame ? "" : last, undated: false });
  }

  const indexAt = (event) => {
    const { left, width } = bars.getBoundingClientRect();
    return Math.min(times.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * times.length)));
  };

  function showTip(index) {
    const button = bars.children[index];
    tip.textContent = button.ariaLabel;
    tip.style.left = `clamp(5rem, ${((index + 0.5) / times.length) * 100}%, 100% - 5rem)`;
    tip.hidden = false;
  }

  bars.addEventListener("pointerdown", (event) => {
    dragStart = indexAt(event);
    bars.setPointerCapture(event.pointerId);
  });
  bars.addEventListener("pointermove", (event) => {
    const index = indexAt(event);
    showTip(index);
    if (dragStart !== null && index !== dragStart)
      markSelection(times[Math.min(dragStart, index)], times[Math.max(dragStart, index)]);
  });
  bars.addEventListener("pointerup", (event) => {
    const index = indexAt(event);
    if (dragStart !== null && (index !== dragStart || !bars.children[index].disabled))
      select(event.shiftKey ? (firstSelected() ?? dragStart) : dragStart, index);
    dragStart = null;
  });
  bars.addEventListener("pointercancel", () => {
    dragStart = null;
    markSelection();
  });
  const hideTip = () => {
    tip.hidden = true;
  };
  bars.addEventListener("pointerleave", hideTip);
  bars.addEventListener("focusin", ({ target }) => showTip(Number(target.dataset.place)));
  bars.addEventListener("focusout", hideTip);
  bars.addEventListener("keydown", (event) => {
    const index = Number(event.target.dataset.place);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      let next = index + step;
      while (bars.children[next]?.disabled) next += step;
      if (!bars.children[next]) return;
      event.target.tabIndex = -1;
      bars.children[next].tabIndex = 0;
      bars.children[next].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      select(event.shiftKey ? (firstSelected() ?? index) : index, index);
    }
  });
  bars.addEventListener("click", ({ target, detail }) => {
    const index = Number(target.dataset.place);
    if (detail === 0 && index >= 0) select(index, index); // clicked by a screen reader, without a pointer
  });
  undatedButton.addEventListener("click", () => change({ undated: !state.undated, from: "", to: "" }));

  /** The index of the first selected bar, or null. */
  function firstSelected() {
    const index = times.findIndex((time) => state.from && time >= state.from.slice(0, time.length));
    return index < 0 ? null : index;
  }

  return {
    draw,
    showPosition,
    /** Counts again at the next draw, because the index has changed. */
    forget() {
      countedFilters = null;
    },
  };
}

function name(time) {
  return time.length === 4 ? time : month(time);
}

/** The first and last of each bar's times: one time each, or a long gap between two that have pictures. */
function withGaps(every, counts) {
  const parts = [];
  let start = 0; // of the times without pictures before the current one
  for (const [index, time] of every.entries()) {
    if (!counts.get(time)) continue;
    const empty = every.slice(start, index);
    if (empty.length > MAX_GAP) parts.push({ first: empty[0], last: empty.at(-1) });
    else parts.push(...empty.map((first) => ({ first, last: first })));
    parts.push({ first: time, last: time });
    start = index + 1;
  }
  return parts;
}

/** All months from one to another, both included. */
function span(first, last) {
  const times = [];
  let [year, number] = first.split("-").map(Number);
  for (;;) {
    const time = `${String(year).padStart(4, "0")}-${String(number).padStart(2, "0")}`;
    times.push(time);
    if (time >= last) return times;
    number += 1;
    if (number > 12) [year, number] = [year + 1, 1];
  }
}
