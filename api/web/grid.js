/* The grid of pictures. Only tiles near the viewport are in the document, however many there are. It is one tab stop;
   arrow keys move between tiles. */

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { arrange, between, rowHeight } from "./layout.js";
import { likelihood, percent } from "./probability-words.js";

const OVERSCAN = 1.2; // viewport heights drawn above and below
const PREFETCH = 2.5; // viewport heights before the end at which the next page is loaded
const MAX_RETRIES = 3; // of a thumbnail that fails to load

/**
 * Creates the grid in `host`.
 *
 * `link(item)` returns a picture's address. `open(item)` is called when one is opened, `more()` near the end, and
 * `scrolled(item)` with the first picture in the viewport whenever the grid is drawn.
 */
export function grid(host, { link, open, more, scrolled, say }) {
  const headings = el("div", { className: "headings" });
  const list = el("ul", { className: "tiles", role: "list", ariaLabel: "Pictures" });
  host.append(headings, list);

  let items = [];
  let isLast = true;
  let unfolded = new Set(); // ids
  let rows = [];
  let tiles = []; // { item, row, box } in order; `row` is an index in rows
  let indexes = new Map(); // id → index in tiles
  let current = null; // id of the tab stop
  let column = null; // horizontal position in pixels that up and down keep
  let width = 0; // pixels that the rows are laid out for; 0 while the grid is hidden
  const drawn = new Map(); // id → element

  const gap = () => (host.clientWidth < 600 ? 3 : host.clientWidth > 2400 ? 10 : 6);

  function layOut() {
    width = host.clientWidth;
    if (width === 0) return;
    const laid = arrange(items, { width, gap: gap(), last: isLast, unfolded });
    rows = laid.rows;
    tiles = rows.flatMap((row, index) => row.boxes.map((box) => ({ item: box.item, row: index, box })));
    indexes = new Map(tiles.map(({ item }, index) => [item.id, index]));
    host.style.height = `${laid.height}px`;
    draw();
  }

  // --- drawing ---

  function draw() {
    if (host.clientWidth === 0) return; // hidden behind another view
    const top = window.scrollY - offset();
    const margin = window.innerHeight * OVERSCAN;
    const [first, end] = between(rows, top - margin, top + window.innerHeight + margin);
    const near = new Map(); // id → index
    for (const row of rows.slice(first, end)) for (const { item } of row.boxes) near.set(item.id, indexes.get(item.id));
    const focused = document.activeElement?.closest?.(".tile"); // stays, or the focus would be lost
    for (const [id, tile] of drawn) {
      if (!near.has(id) && (tile !== focused || !indexes.has(id))) drop(id, tile);
    }
    if (focused && indexes.has(Number(focused.dataset.id)))
      near.set(Number(focused.dataset.id), indexes.get(Number(focused.dataset.id)));
    let sibling = list.firstElementChild;
    for (const [id, index] of [...near].sort((a, b) => a[1] - b[1])) {
      let tile = drawn.get(id);
      if (tile === undefined) {
        tile = makeTile(tiles[index].item);
        drawn.set(id, tile);
      }
      if (tile === sibling) sibling = sibling.nextElementSibling;
      else list.insertBefore(tile, sibling);
      place(tile, index);
    }
    const headingRows = rows.slice(first, end).filter((row) => row.heading);
    headings.replaceChildren(...headingRows.map(makeHeading));
    updateTabStop();
    scrolled(rows.slice(between(rows, top, top)[0]).find(({ boxes }) => boxes.length)?.boxes[0].item ?? null);
    if (!isLast && top + window.innerHeight * (1 + PREFETCH) > host.clientHeight) more();
  }

  function offset() {
    return host.getBoundingClientRect().top + window.scrollY;
  }

  function drop(id, tile) {
    drawn.delete(id);
    tile.stop.abort();
    tile.querySelector("img")?.removeAttribute("src"); // cancels loading
    tile.remove();
  }

  function place(tile, index) {
    const { row, box } = tiles[index];
    const { top, height, isCopies } = rows[row];
    tile.style.transform = `translate(${box.left}px, ${top}px)`;
    tile.style.width = `${box.width}px`;
    tile.style.height = `${height}px`;
    tile.classList.toggle("copy", isCopies === true);
    tile.ariaPosInSet = String(index + 1);
    tile.ariaSetSize = isLast ? String(tiles.length) : "-1";
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
      const words = el("span", { className: "caption" }, likelihood(item.hit), " ");
      words.append(el("b", {}, percent(item.hit.match_probability)));
      anchor.append(words);
    }
    if (item.copies?.length) tile.append(badge(item));
    let failures = 0;
    let size = 0; // of the requested thumbnail
    tile.load = (pixels) => {
      const needed = api.thumbnailSize(pixels);
      if (needed <= size) return;
      size = needed;
      api.show(image, api.thumbnailAddress(item.id, size), tile.stop.signal);
      if (image.complete && image.naturalWidth) tile.classList.add("there", "at-once");
    };
    image.addEventListener("load", () => {
      tile.classList.add("there");
      item.size = size; // which the browser has cached
    });
    image.addEventListener("error", () => {
      failures += 1;
      if (!image.hasAttribute("src") && !api.hasKey()) return;
      if (failures > MAX_RETRIES) tile.classList.add("gone");
      else
        setTimeout(
          () => drawn.get(item.id) === tile && api.show(image, api.thumbnailAddress(item.id, size), tile.stop.signal),
          1000 * failures,
        );
    });
    return tile;
  }

  function badge(item) {
    const isUnfolded = unfolded.has(item.id);
    const count = item.copies.length;
    const button = el("button", {
      type: "button",
      className: "badge",
      tabIndex: -1,
      ariaExpanded: String(isUnfolded),
      ariaLabel: `${count} near-duplicate${count === 1 ? "" : "s"} of ${item.name}`,
      title: isUnfolded ? "Fold near-duplicates" : "Show near-duplicates",
    });
    button.dataset.copies = count;
    button.append(icon("stack"), `+${count}`);
    return button;
  }

  function label(item) {
    const parts = [item.name];
    if (item.hit?.match_probability != null)
      parts.push(...[likelihood(item.hit), percent(item.hit.match_probability)].filter(Boolean));
    if (item.taken) parts.push(item.taken.slice(0, 10));
    if (item.copies?.length) parts.push(`and ${item.copies.length} like it; press D to show`);
    return parts.join(", ");
  }

  // --- folding ---

  /** Updates the badges of drawn tiles. */
  function updateBadges() {
    for (const [id, tile] of drawn) {
      const item = tiles[indexes.get(id)]?.item;
      const copies = item?.copies?.length ?? 0;
      const shown = tile.querySelector(".badge");
      if (copies === Number(shown?.dataset.copies ?? 0)) continue;
      shown?.remove();
      if (copies) tile.append(badge(item));
      tile.firstElementChild.ariaLabel = label(item);
    }
  }

  function toggleCopies(id) {
    const item = tiles[indexes.get(id)]?.item;
    if (!item?.copies?.length) return;
    if (!unfolded.delete(id)) unfolded.add(id);
    const isUnfolded = unfolded.has(id);
    const button = drawn.get(id).querySelector(".badge");
    button.ariaExpanded = String(isUnfolded);
    say(isUnfolded ? `${item.copies.length} near-duplicates shown below` : "Folded");
    layOut();
  }

  // --- moving ---

  function updateTabStop() {
    const stop = drawn.get(current) ?? list.firstElementChild;
    for (const tile of list.children) tile.firstElementChild.tabIndex = tile === stop ? 0 : -1;
  }

  function focus(id, { quietly = false } = {}) {
    const index = indexes.get(id);
    if (index === undefined) return false;
    current = id;
    reveal(rows[tiles[index].row], quietly);
    draw();
    drawn.get(id)?.firstElementChild.focus({ preventScroll: true });
    return true;
  }

  /** Scrolls just enough to show a whole row between the bar and the timeline; with `quietly`, to a third from the top. */
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

  /** The id of the tile that a key moves to. */
  function target(id, key) {
    const index = indexes.get(id);
    const { row, box } = tiles[index];
    if (key === "ArrowLeft" || key === "ArrowRight") {
      column = null;
      return tiles[index + (key === "ArrowRight" ? 1 : -1)]?.item.id;
    }
    if (key === "Home") return tiles[0].item.id;
    if (key === "End") return tiles.at(-1).item.id;
    const step = key === "ArrowDown" || key === "PageDown" ? 1 : -1;
    const steps = key.startsWith("Page")
      ? Math.max(1, Math.floor(window.innerHeight / (rowHeight(host.clientWidth) + gap())) - 1)
      : 1;
    column ??= box.left + box.width / 2;
    let targetRow = row;
    for (let left = steps, next = row + step; left > 0 && rows[next]; next += step) {
      if (!rows[next].boxes.length) continue;
      targetRow = next;
      left -= 1;
    }
    if (targetRow === row) return id;
    const distance = ({ left, width }) => Math.abs(left + width / 2 - column);
    return rows[targetRow].boxes.reduce((best, other) => (distance(other) < distance(best) ? other : best)).item.id;
  }

  const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

  list.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const id = Number(tile.dataset.id);
    if (MOVES.includes(event.key)) {
      event.preventDefault();
      const next = target(id, event.key);
      if (next === undefined || next === id) {
        if (event.key === "ArrowUp") host.dispatchEvent(new Event("above", { bubbles: true }));
      } else focus(next);
    } else if (event.key === "d" || event.key === "D") toggleCopies(id);
  });
  list.addEventListener("focusin", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null) return;
    if (Number(tile.dataset.id) !== current) column = null;
    current = Number(tile.dataset.id);
    updateTabStop();
  });
  list.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile === null) return;
    const id = Number(tile.dataset.id);
    if (event.target.closest(".badge")) toggleCopies(id);
    else if (!event.ctrlKey && !event.metaKey && !event.shiftKey && event.target.closest("a")) {
      event.preventDefault();
      open(tiles[indexes.get(id)].item);
    }
  });

  let isScheduled = false;
  function scheduleDraw() {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      draw();
    });
  }
  window.addEventListener("scroll", scheduleDraw, { passive: true });

  new ResizeObserver(() => {
    if (host.clientWidth === 0 || !items.length) return;
    if (host.clientWidth === width) return draw(); // shown again, perhaps scrolled
    const anchor = width && topPicture();
    layOut();
    const index = anchor ? indexes.get(anchor.id) : undefined; // none if its row is an incomplete last one at this width
    if (index !== undefined) window.scrollBy({ top: rows[tiles[index].row].top - anchor.top, behavior: "instant" });
  }).observe(host);

  /** The first picture in the viewport and the top of its row, to keep it in place when the layout changes. */
  function topPicture() {
    const top = window.scrollY - offset();
    if (top <= 0) return null;
    const row = rows.slice(between(rows, top, top)[0]).find(({ boxes }) => boxes.length);
    return row ? { id: row.boxes[0].item.id, top: row.top } : null;
  }

  return {
    /** Shows pictures from the beginning. */
    show(pictures, last) {
      items = pictures;
      isLast = last;
      unfolded = new Set();
      current = null;
      column = null;
      for (const [id, tile] of drawn) drop(id, tile);
      layOut();
    },
    /** Adds pictures at the end. */
    add(pictures, last) {
      items = [...items, ...pictures];
      isLast = last;
      layOut();
      updateBadges();
    },
    /** Folds pictures below the viewport: `fold(items, seen)` returns the items to keep, always the first `seen`. */
    refold(fold) {
      const top = window.scrollY - offset();
      const [, end] = between(rows, top, top + window.innerHeight);
      const lastSeen = rows
        .slice(0, end)
        .flatMap(({ boxes }) => boxes)
        .at(-1)?.item.id;
      items = fold(items, items.findLastIndex(({ id }) => id === lastSeen) + 1);
      layOut();
      updateBadges();
    },
    /** Shows placeholder tiles while the first answer is loading. */
    wait() {
      const shapes = [1.5, 0.75, 1.33, 1.5, 1, 1.78, 0.67, 1.5, 1.33, 0.75, 1.5];
      const placeholders = Array.from({ length: 40 }, (_, n) => ({
        id: -n - 1,
        width: shapes[n % shapes.length],
        height: 1,
        section: null,
      }));
      const laid = arrange(placeholders, { width: host.clientWidth, gap: gap(), last: false });
      for (const [id, tile] of drawn) drop(id, tile);
      items = [];
      rows = [];
      tiles = [];
      indexes = new Map();
      host.style.height = `${laid.height}px`;
      headings.replaceChildren(
        ...laid.rows.flatMap(({ top, height, boxes }) =>
          boxes.map((box) => {
            const tile = el("div", { className: "fake" });
            tile.style.transform = `translate(${box.left}px, ${top}px)`;
            tile.style.width = `${box.width}px`;
            tile.style.height = `${height}px`;
            return tile;
          }),
        ),
      );
    },
    focus,
    /** Focuses the first tile in the viewport. */
    enter() {
      const id = topPicture()?.id ?? tiles[0]?.item.id;
      return id !== undefined && focus(id);
    },
    /** The picture with an id, its neighbours and its index. */
    around(id) {
      const index = indexes.get(id);
      if (index === undefined) return {};
      if (!isLast && index > tiles.length - 8) more();
      const [previous, next] = [tiles[index - 1]?.item, tiles[index + 1]?.item];
      return { item: tiles[index].item, previous, next, index, count: isLast ? `${tiles.length}` : `${tiles.length}+` };
    },
    get count() {
      return tiles.length;
    },
    get all() {
      return items;
    },
    get isLast() {
      return isLast;
    },
  };
}
