/* The grid of pictures. Only what is near the window is in the document, however long the answer is; one tile can be
   reached with Tab, the others from it with arrows. */

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { arrange, between, rowHeight } from "./layout.js";
import { likelihood, percent } from "./probability-words.js";

const NEAR = 1.2; // windows above and below that are drawn
const AHEAD = 2.5; // windows before the end at which more is asked for
const TRIES = 3; // of a thumbnail that does not come

/**
 * Makes the grid in `host`.
 *
 * `link(item)` is a picture's address; `open(item)` is called where one is chosen, `more()` where the end comes near, and
 * `pass(item)` with the first one in the window, whenever that has moved.
 */
export function grid(host, { link, open, more, pass, say }) {
  const headings = el("div", { className: "headings" });
  const list = el("ul", { className: "tiles", role: "list", ariaLabel: "Pictures" });
  host.append(headings, list);

  let items = [];
  let isLast = true;
  let unfolded = new Set();
  let rows = [];
  let order = []; // { item, row, box } from first to last
  let places = new Map(); // id → index in order
  let current = null; // id of the tile that Tab reaches
  let wish = null; // pixels from the left that up and down keep to
  let width = 0; // that the rows are made for; 0 while the grid is not to be seen
  const drawn = new Map(); // id → its element

  const gap = () => (host.clientWidth < 600 ? 3 : host.clientWidth > 2400 ? 10 : 6);

  function lay() {
    width = host.clientWidth;
    if (width === 0) return;
    const laid = arrange(items, { width, gap: gap(), last: isLast, unfolded });
    rows = laid.rows;
    order = rows.flatMap((row, index) => row.boxes.map((box) => ({ item: box.item, row: index, box })));
    places = new Map(order.map(({ item }, index) => [item.id, index]));
    host.style.height = `${laid.height}px`;
    draw();
  }

  // --- drawing ---

  function draw() {
    if (host.clientWidth === 0) return; // another view is open, and its scrolling is no business of the pictures
    const top = window.scrollY - offset();
    const near = window.innerHeight * NEAR;
    const [first, end] = between(rows, top - near, top + window.innerHeight + near);
    const wanted = new Map();
    for (const row of rows.slice(first, end))
      for (const { item } of row.boxes) wanted.set(item.id, places.get(item.id));
    const held = document.activeElement?.closest?.(".tile");
    for (const [id, tile] of drawn) {
      if (!wanted.has(id) && (tile !== held || !places.has(id))) drop(id, tile);
    }
    if (held && places.has(Number(held.dataset.id)))
      wanted.set(Number(held.dataset.id), places.get(Number(held.dataset.id)));
    let before = list.firstElementChild;
    for (const [id, index] of [...wanted].sort((a, b) => a[1] - b[1])) {
      let tile = drawn.get(id);
      if (tile === undefined) {
        tile = makeTile(order[index].item);
        drawn.set(id, tile);
      }
      if (tile === before) before = before.nextElementSibling;
      else list.insertBefore(tile, before);
      place(tile, index);
    }
    const shown = rows.slice(first, end).filter((row) => row.heading);
    headings.replaceChildren(...shown.map(makeHeading));
    tabStop();
    pass(rows.slice(between(rows, top, top)[0]).find(({ boxes }) => boxes.length)?.boxes[0].item ?? null);
    if (!isLast && top + window.innerHeight * (1 + AHEAD) > host.clientHeight) more();
  }

  function offset() {
    return host.getBoundingClientRect().top + window.scrollY;
  }

  function drop(id, tile) {
    drawn.delete(id);
    tile.stop.abort();
    tile.querySelector("img")?.removeAttribute("src"); // who waits for it gives up
    tile.remove();
  }

  function place(tile, index) {
    const { row, box } = order[index];
    const { top, height, isCopies } = rows[row];
    tile.style.transform = `translate(${box.left}px, ${top}px)`;
    tile.style.width = `${box.width}px`;
    tile.style.height = `${height}px`;
    tile.classList.toggle("copy", isCopies === true);
    tile.ariaPosInSet = String(index + 1);
    tile.ariaSetSize = isLast ? String(order.length) : "-1";
    tile.load(Math.max(box.width, height));
  }

  function makeHeading(row) {
    const heading = el("h2", {}, row.heading);
    heading.style.transform = `translateY(${row.top}px)`;
    return heading;
  }

  function makeTile(item) {
    const image = el("img", { alt: "", decoding: "async", draggable: true });
    const anchor = el("a", { href: link(item), tabIndex: -1, ariaLabel: label(item) }, image);
    const tile = el("li", { className: `tile tone-${item.id % 4}` }, anchor);
    tile.dataset.id = item.id;
    tile.stop = new AbortController();
    if (item.hit?.match_probability != null) {
      const words = el("span", { className: "caption" }, likelihood(item.hit.match_probability), " ");
      words.append(el("b", {}, percent(item.hit.match_probability)));
      anchor.append(words);
    }
    if (item.copies?.length) tile.append(badge(item));
    let tries = 0;
    let size = 0;
    tile.load = (pixels) => {
      const needed = api.thumbnailSize(pixels);
      if (needed <= size) return;
      size = needed;
      api.show(image, api.thumbnailAddress(item.id, size), tile.stop.signal);
      if (image.complete && image.naturalWidth) tile.classList.add("there", "at-once");
    };
    image.addEventListener("load", () => {
      tile.classList.add("there");
      item.size = size; // of what the browser has by now
    });
    image.addEventListener("error", () => {
      tries += 1;
      if (!image.hasAttribute("src") && !api.keyed()) return;
      if (tries > TRIES) tile.classList.add("gone");
      else
        setTimeout(
          () => drawn.get(item.id) === tile && api.show(image, api.thumbnailAddress(item.id, size), tile.stop.signal),
          1000 * tries,
        );
    });
    return tile;
  }

  function badge(item) {
    const is = unfolded.has(item.id);
    const count = item.copies.length;
    const button = el("button", {
      type: "button",
      className: "badge",
      tabIndex: -1,
      ariaExpanded: String(is),
      ariaLabel: `${count} near-duplicate${count === 1 ? "" : "s"} of ${item.name}`,
      title: is ? "Fold near-duplicates" : "Show near-duplicates",
    });
    button.dataset.copies = count;
    button.append(icon("stack"), `+${count}`);
    return button;
  }

  function label(item) {
    const parts = [item.name];
    if (item.hit?.match_probability != null)
      parts.push(`${likelihood(item.hit.match_probability)}, ${percent(item.hit.match_probability)}`);
    if (item.taken) parts.push(item.taken.slice(0, 10));
    if (item.copies?.length) parts.push(`and ${item.copies.length} like it; press D to show`);
    return parts.join(", ");
  }

  // --- folding ---

  /** Pictures that are drawn may have got copies since. */
  function recount() {
    for (const [id, tile] of drawn) {
      const item = order[places.get(id)]?.item;
      const copies = item?.copies?.length ?? 0;
      const there = tile.querySelector(".badge");
      if (copies === Number(there?.dataset.copies ?? 0)) continue;
      there?.remove();
      if (copies) tile.append(badge(item));
      tile.firstElementChild.ariaLabel = label(item);
    }
  }

  function unfold(id) {
    const item = order[places.get(id)]?.item;
    if (!item?.copies?.length) return;
    if (!unfolded.delete(id)) unfolded.add(id);
    const is = unfolded.has(id);
    const button = drawn.get(id).querySelector(".badge");
    button.ariaExpanded = String(is);
    say(is ? `${item.copies.length} near-duplicates shown below` : "Folded");
    lay();
  }

  // --- moving ---

  function tabStop() {
    const stop = drawn.get(current) ?? list.firstElementChild;
    for (const tile of list.children) {
      const index = tile === stop ? 0 : -1;
      tile.firstElementChild.tabIndex = index;
    }
  }

  function focus(id, { quietly = false } = {}) {
    const index = places.get(id);
    if (index === undefined) return false;
    current = id;
    reveal(rows[order[index].row], quietly);
    draw();
    drawn.get(id)?.firstElementChild.focus({ preventScroll: true });
    return true;
  }

  /** Scrolls no further than it takes to see a row whole, below the bar and above the timeline. */
  function reveal(row, quietly) {
    const style = getComputedStyle(document.documentElement);
    const above = parseFloat(style.scrollPaddingTop) || 0;
    const below = parseFloat(style.scrollPaddingBottom) || 0;
    const top = offset() + row.top;
    const bottom = top + row.height;
    if (top < window.scrollY + above) window.scrollTo({ top: top - above, behavior: "instant" });
    else if (bottom > window.scrollY + window.innerHeight - below) {
      window.scrollTo({
        top: quietly ? top - window.innerHeight / 3 : bottom - window.innerHeight + below,
        behavior: "instant",
      });
    }
  }

  function move(from, key) {
    const index = places.get(from);
    const { row, box } = order[index];
    if (key === "ArrowLeft" || key === "ArrowRight") {
      wish = null;
      return order[index + (key === "ArrowRight" ? 1 : -1)]?.item.id;
    }
    if (key === "Home") return order[0].item.id;
    if (key === "End") return order.at(-1).item.id;
    const step = key === "ArrowDown" || key === "PageDown" ? 1 : -1;
    const steps = key.startsWith("Page")
      ? Math.max(1, Math.floor(window.innerHeight / (rowHeight(host.clientWidth) + gap())) - 1)
      : 1;
    wish ??= box.left + box.width / 2;
    let target = row;
    for (let left = steps, next = row + step; left > 0 && rows[next]; next += step) {
      if (!rows[next].boxes.length) continue;
      target = next;
      left -= 1;
    }
    if (target === row) return from;
    const away = ({ left, width }) => Math.abs(left + width / 2 - wish);
    return rows[target].boxes.reduce((best, one) => (away(one) < away(best) ? one : best)).item.id;
  }

  const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

  list.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const id = Number(tile.dataset.id);
    if (MOVES.includes(event.key)) {
      event.preventDefault();
      const next = move(id, event.key);
      if (next === undefined || next === id) {
        if (event.key === "ArrowUp") host.dispatchEvent(new Event("above", { bubbles: true }));
      } else focus(next);
    } else if (event.key === "d" || event.key === "D") unfold(id);
  });
  list.addEventListener("focusin", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null) return;
    if (Number(tile.dataset.id) !== current) wish = null;
    current = Number(tile.dataset.id);
    tabStop();
  });
  list.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null) return;
    const id = Number(tile.dataset.id);
    if (event.target.closest(".badge")) unfold(id);
    else if (!event.ctrlKey && !event.metaKey && !event.shiftKey && event.target.closest("a")) {
      event.preventDefault();
      open(order[places.get(id)].item);
    }
  });

  let isDue = false;
  function soon() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  }
  window.addEventListener("scroll", soon, { passive: true });

  new ResizeObserver(() => {
    if (host.clientWidth === 0 || !items.length) return;
    if (host.clientWidth === width) return draw(); // it is to be seen again, perhaps elsewhere
    const before = width && anchor();
    lay();
    const place = before ? places.get(before.id) : undefined; // none in a last row that is not full at this width
    if (place !== undefined) window.scrollBy({ top: rows[order[place].row].top - before.top, behavior: "instant" });
  }).observe(host);

  /** The first picture in the window, and where it is, to be found again after the rows have changed. */
  function anchor() {
    const top = window.scrollY - offset();
    if (top <= 0) return null;
    const row = rows.slice(between(rows, top, top)[0]).find(({ boxes }) => boxes.length);
    return row ? { id: row.boxes[0].item.id, top: row.top } : null;
  }

  return {
    /** Shows pictures from the beginning. */
    show(found, last) {
      items = found;
      isLast = last;
      unfolded = new Set();
      current = null;
      wish = null;
      for (const [id, tile] of drawn) drop(id, tile);
      lay();
    },
    /** Adds pictures at the end. */
    add(found, last) {
      items = [...items, ...found];
      isLast = last;
      lay();
      recount();
    },
    /** Folds what was not seen yet: `fold(items, seen)` gives what stays, of which the first `seen` pictures must. */
    refold(fold) {
      const top = window.scrollY - offset();
      const [, end] = between(rows, top, top + window.innerHeight);
      const seen = rows.slice(0, end).flatMap(({ boxes }) => boxes.map(({ item }) => item.id));
      items = fold(items, items.findLastIndex(({ id }) => id === seen.at(-1)) + 1);
      lay();
      recount();
    },
    /** Tiles without pictures, while the first answer is on its way. */
    wait() {
      const shapes = [1.5, 0.75, 1.33, 1.5, 1, 1.78, 0.67, 1.5, 1.33, 0.75, 1.5];
      const fakes = Array.from({ length: 40 }, (_, n) => ({
        id: -n - 1,
        width: shapes[n % shapes.length],
        height: 1,
        section: null,
      }));
      const laid = arrange(fakes, { width: host.clientWidth, gap: gap(), last: false });
      for (const [id, tile] of drawn) drop(id, tile);
      items = [];
      rows = [];
      order = [];
      places = new Map();
      host.style.height = `${laid.height}px`;
      headings.replaceChildren(
        ...laid.rows.flatMap(({ top, height, boxes }) =>
          boxes.map((box) => {
            const fake = el("div", { className: "fake" });
            fake.style.transform = `translate(${box.left}px, ${top}px)`;
            fake.style.width = `${box.width}px`;
            fake.style.height = `${height}px`;
            return fake;
          }),
        ),
      );
    },
    focus,
    /** The first tile in the window gets the focus. */
    enter() {
      const id = anchor()?.id ?? order[0]?.item.id;
      return id !== undefined && focus(id);
    },
    /** The picture with an id, and those before and after it. */
    around(id) {
      const index = places.get(id);
      if (index === undefined) return {};
      if (!isLast && index > order.length - 8) more();
      const [previous, next] = [order[index - 1]?.item, order[index + 1]?.item];
      return { item: order[index].item, previous, next, index, count: isLast ? `${order.length}` : `${order.length}+` };
    },
    get count() {
      return order.length;
    },
    get all() {
      return items;
    },
    get isLast() {
      return isLast;
    },
  };
}
