/* Where each picture goes: rows that fill the width, every picture in its own proportions. Pure arithmetic. */

const WIDEST = 3.2; // proportions beyond these are cut at the sides or at top and bottom
const TALLEST = 0.45;
export const HEADING = 60; // pixels

/** How high rows should be, in pixels, for a width in pixels. */
export function rowHeight(width) {
  return Math.round(Math.min(380, 96 + width * 0.085));
}

/**
 * Arranges pictures in rows, from top to bottom.
 *
 * What is already there never moves when pictures are added at the end: a last row that is not full yet is left out until
 * it is, or until nothing comes after it (`last`). The copies of a picture that is unfolded get rows of their own below
 * its row.
 *
 * An item's `section` is the heading that it stands under, null for none. Returns { rows, height }; a row has top,
 * height, and either a heading or boxes { item, left, width }.
 */
export function arrange(items, { width, gap, last, unfolded = new Set() }) {
  const target = rowHeight(width);
  const rows = [];
  let top = 0;
  let open = []; // pictures of the row that is not full yet
  let ratios = 0;

  function close(fill) {
    if (!open.length) return;
    const free = width - gap * (open.length - 1);
    const height = fill ? free / ratios : Math.min(target, free / ratios);
    let left = 0;
    const boxes = open.map((item) => {
      const box = { item, left, width: proportion(item) * height };
      left += box.width + gap;
      return box;
    });
    rows.push({ top, height, boxes });
    top += height + gap;
    const copies = open.flatMap((item) => (unfolded.has(item.id) ? item.copies : []));
    open = [];
    ratios = 0;
    if (copies.length) below(copies);
  }

  function below(copies) {
    const first = rows.length;
    for (const copy of copies) add(copy);
    close(false);
    for (const row of rows.slice(first)) row.isCopies = true;
  }

  function add(item) {
    const ratio = proportion(item);
    const height = (count, sum) => (width - gap * (count - 1)) / sum;
    // A row is full where one more would make it lower than it is now too high.
    if (open.length) {
      const now = height(open.length, ratios);
      const then = height(open.length + 1, ratios + ratio);
      if (then < target && target / then > now / target) close(true);
    }
    open.push(item);
    ratios += ratio;
    if (height(open.length, ratios) <= target) close(true);
  }

  let section = null;
  for (const item of items) {
    if (item.section !== section) {
      close(false);
      section = item.section;
      heading(section);
    }
    add(item);
  }
  if (last) close(false);
  return { rows, height: Math.max(0, top - gap) };

  function heading(text) {
    rows.push({ top, height: HEADING, heading: text, boxes: [] });
    top += HEADING;
  }
}

/** The rows that lie between two heights: [first, end). */
export function between(rows, from, to) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height < from) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < rows.length && rows[end].top <= to) end += 1;
  return [low, end];
}

function proportion({ width, height }) {
  return Math.min(WIDEST, Math.max(TALLEST, width / height));
}
