/* The timeline at the bottom: a bar a month, as high as there are pictures; click one, or drag over several. */

import { where } from "./address.js";
import { el } from "./dom.js";
import { month } from "./result-pages.js";

const MOST = 216; // bars of months; a longer time is shown in years
const count = new Intl.NumberFormat();

/** `facets(where)` promises counts; `change(filters)` is called with what was chosen. Returns { draw(asked) }. */
export function timeline(host, { facets, change }) {
  const bars = el("div", {
    className: "bars",
    role: "toolbar",
    ariaLabel: "Pictures by time; arrow keys move, Enter selects, Shift+Enter extends the selection",
  });
  const years = el("div", { className: "years", ariaHidden: "true" });
  const tip = el("p", { className: "tip", ariaHidden: "true", hidden: true });
  const rest = el("button", { type: "button", className: "pill undated", hidden: true });
  const marker = el("i", { className: "here", hidden: true });
  host.append(el("div", { className: "track" }, bars, marker, years, tip), rest);

  let state = null;
  let isVisible = false;
  let counted = null; // the filters that the bars are for
  let times = []; // "2024-06" or "2024", each of the whole time
  let passing = null; // when the picture at the top of the window was taken
  let from = null; // place where a drag began

  async function draw(now, visible) {
    state = now;
    isVisible = visible;
    const filters = where(state, "date");
    const key = JSON.stringify(filters);
    if (visible && key !== counted) {
      counted = key;
      try {
        const facetCounts = await facets(filters);
        if (counted !== key) return; // other bars were asked for meanwhile
        drawBars(facetCounts);
      } catch {
        if (counted !== key) return;
        counted = null; // the next draw asks again
      }
    }
    host.hidden = !isVisible || times.length === 0;
    mark();
  }

  function drawBars(facetCounts) {
    const dated = new Map(
      facetCounts.months.filter(({ value }) => value !== null).map(({ value, count: n }) => [value, n]),
    );
    const undated = facetCounts.months.find(({ value }) => value === null)?.count ?? 0;
    const months = [...dated.keys()].sort();
    times = months.length ? span(months[0], months.at(-1)) : [];
    let counts = dated;
    if (times.length > MOST) {
      times = [...new Set(times.map((time) => time.slice(0, 4)))];
      counts = new Map(facetCounts.years.map(({ value, count: n }) => [value, n]));
    }
    const most = Math.max(1, ...counts.values());
    bars.replaceChildren(...times.map((time, place) => bar(time, place, counts.get(time) ?? 0, most)));
    years.replaceChildren(
      ...times.flatMap((time, place) =>
        place === 0 || time.slice(0, 4) !== times[place - 1].slice(0, 4) ? [year(time, place)] : [],
      ),
    );
    thin();
    rest.hidden = undated === 0;
    here(passing);
    rest.textContent = `No date · ${count.format(undated)}`;
  }

  function bar(time, place, n, most) {
    const button = el("button", { type: "button", tabIndex: place === times.length - 1 ? 0 : -1, disabled: n === 0 });
    button.ariaLabel = `${name(time)}, ${count.format(n)} picture${n === 1 ? "" : "s"}`;
    button.dataset.place = place;
    button.style.setProperty("--share", n === 0 ? 0 : 0.12 + 0.88 * Math.sqrt(n / most));
    return button;
  }

  function year(time, place) {
    const label = el("span", {}, time.slice(0, 4));
    label.style.left = `${(place / times.length) * 100}%`;
    return label;
  }

  /** Leaves out years that would run into each other. */
  function thin() {
    let end = -Infinity;
    for (const label of years.children) {
      label.hidden = false;
      const left = (parseFloat(label.style.left) / 100) * years.clientWidth;
      label.hidden = left < end || left > years.clientWidth - 28;
      if (!label.hidden) end = left + 44;
    }
  }
  new ResizeObserver(() => {
    thin();
    here(passing);
  }).observe(years);

  function here(taken) {
    passing = taken;
    const place = taken === null ? -1 : times.indexOf(taken.slice(0, times[0]?.length));
    marker.hidden = place < 0;
    marker.style.transform = `translateX(${((place + 0.5) / times.length) * bars.clientWidth}px)`;
  }

  /** Which bars lie in what is chosen. */
  function mark(first = state.from, last = state.to) {
    const has = Boolean(first || last);
    host.classList.toggle("chosen", has || state.undated);
    for (const button of bars.children) {
      const time = times[button.dataset.place];
      const is =
        has && (!first || time >= first.slice(0, time.length)) && (!last || time <= last.slice(0, time.length));
      button.ariaPressed = String(is);
    }
    rest.ariaPressed = String(state.undated);
    rest.classList.toggle("on", state.undated);
  }

  function choose(one, other) {
    const [first, last] = [times[Math.min(one, other)], times[Math.max(one, other)]];
    const isSame = state.from === first && state.to === last;
    change({ from: isSame ? "" : first, to: isSame ? "" : last, undated: false });
  }

  const placeOf = (event) => {
    const { left, width } = bars.getBoundingClientRect();
    return Math.min(times.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * times.length)));
  };

  function showTip(place) {
    const button = bars.children[place];
    tip.textContent = button.ariaLabel;
    tip.style.left = `clamp(5rem, ${((place + 0.5) / times.length) * 100}%, 100% - 5rem)`;
    tip.hidden = false;
  }

  bars.addEventListener("pointerdown", (event) => {
    from = placeOf(event);
    bars.setPointerCapture(event.pointerId);
  });
  bars.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    showTip(place);
    if (from !== null && place !== from) mark(times[Math.min(from, place)], times[Math.max(from, place)]);
  });
  bars.addEventListener("pointerup", (event) => {
    const place = placeOf(event);
    if (from !== null && (place !== from || !bars.children[place].disabled))
      choose(event.shiftKey ? (anchor() ?? from) : from, place);
    from = null;
  });
  bars.addEventListener("pointercancel", () => {
    from = null;
    mark();
  });
  const hideTip = () => {
    tip.hidden = true;
  };
  bars.addEventListener("pointerleave", hideTip);
  bars.addEventListener("focusin", ({ target }) => showTip(Number(target.dataset.place)));
  bars.addEventListener("focusout", hideTip);
  bars.addEventListener("keydown", (event) => {
    const place = Number(event.target.dataset.place);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      let next = place + step;
      while (bars.children[next]?.disabled) next += step;
      if (!bars.children[next]) return;
      event.target.tabIndex = -1;
      bars.children[next].tabIndex = 0;
      bars.children[next].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(event.shiftKey ? (anchor() ?? place) : place, place);
    }
  });
  bars.addEventListener("click", ({ target, detail }) => {
    const place = Number(target.dataset.place);
    if (detail === 0 && place >= 0) choose(place, place); // by a screen reader, which points at nothing
  });
  rest.addEventListener("click", () => change({ undated: !state.undated, from: "", to: "" }));

  /** Where what is chosen begins. */
  function anchor() {
    const place = times.findIndex((time) => state.from && time >= state.from.slice(0, time.length));
    return place < 0 ? null : place;
  }

  return {
    draw,
    /** Marks when the picture at the top of the window was taken. */
    here,
    /** Pictures have come or gone. */
    forget() {
      counted = null;
    },
  };
}

function name(time) {
  return time.length === 4 ? time : month(time);
}

/** All months from one to another. */
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
