/* Justified layout: rows that fill the width, each picture with its own aspect ratio. */

const MAX_RATIO = 3.2; // pictures with a more extreme aspect ratio are cropped
const MIN_RATIO = 0.45;
const HEADING = 60; // pixels

/** The target row height for a width, both in pixels. */
export function rowHeight(width) {
  return Math.round(Math.min(380, 96 + width * 0.085));
}

/**
 * Arranges pictures in rows.
 *
 * Adding pictures at the end moves none: an incomplete last row is left out, unless no pictures follow (`last`). The
 * copies of an unfolded picture get rows of their own below its row. An item's `section` is its heading, or null.
 *
 * Returns { rows, height }; a row has top, height, and either a heading or boxes { item, left, width }.
 */
export function arrange(items, { width, gap, last, unfolded = new Set() }) {
  const target = rowHeight(width);
  const rows = [];
  let top = 0;
  let open = []; // pictures of the incomplete row
  let ratios = 0;

  function close(fill) {
    if (!open.length) return;
    const free = width - gap * (open.length - 1);
    const height = fill ? free / ratios : Math.min(target, free / ratios);
    let left = 0;
    const boxes = open.map((item) => {
      const box = { item, left, width: aspectRatio(item) * height };
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
    const ratio = aspectRatio(item);
    const height = (count, sum) => (width - gap * (count - 1)) / sum;
    // The row is complete if another picture would bring it further below the target height than it is above it now.
    if (open.length) {
      const without = height(open.length, ratios);
      const including = height(open.length + 1, ratios + ratio);
      if (including < target && target / including > without / target) close(true);
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

/** The range [first, end) of the rows between two vertical positions. */
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

function aspectRatio({ width, height }) {
  return Math.min(MAX_RATIO, Math.max(MIN_RATIO, width / height));
}
