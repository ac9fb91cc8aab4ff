/* Draws the attention map of a word: the picture is darkened except where the model looked. */

const SIDE = 72; // pixels of the canvas, which is stretched over the picture
const DARK = [14, 10, 7];
const WARM = [255, 168, 92];
const FADE = 220; // milliseconds from one word to the next

const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Draws on a canvas: `show(grid)` lights up the heavy cells of a grid (rows of weights that sum to 1), `show(null)` hides it. */
export function light(canvas) {
  canvas.width = SIDE;
  canvas.height = SIDE;
  const pen = canvas.getContext("2d");
  const pixels = pen.createImageData(SIDE, SIDE);
  const shown = { strength: new Float32Array(SIDE * SIDE), veil: 0 };
  let running = 0;

  function draw() {
    for (let i = 0; i < shown.strength.length; i += 1) {
      const s = shown.strength[i];
      for (let c = 0; c < 3; c += 1) pixels.data[i * 4 + c] = DARK[c] + (WARM[c] - DARK[c]) * s;
      pixels.data[i * 4 + 3] = 255 * shown.veil * (0.74 * (1 - s) ** 1.3 + 0.17 * s);
    }
    pen.putImageData(pixels, 0, 0);
  }

  function show(grid) {
    cancelAnimationFrame(running);
    const from = { strength: shown.strength.slice(), veil: shown.veil };
    const to = { strength: grid ? smooth(strengths(grid)) : from.strength, veil: grid ? 1 : 0 };
    if (grid && from.veil === 0) from.strength = to.strength; // fade in without moving
    const started = performance.now();
    const step = (time) => {
      const t = reducedMotion.matches ? 1 : Math.min(1, Math.max(0, (time - started) / FADE));
      const eased = 1 - (1 - t) ** 3;
      for (let i = 0; i < shown.strength.length; i += 1) {
        shown.strength[i] = from.strength[i] + (to.strength[i] - from.strength[i]) * eased;
      }
      shown.veil = from.veil + (to.veil - from.veil) * eased;
      draw();
      if (t < 1) running = requestAnimationFrame(step);
    };
    step(started);
    running = requestAnimationFrame(step);
  }

  return { show };
}

/** Weights relative to uniform attention: below half of uniform is 0, the maximum is 1. */
function strengths(grid) {
  const count = grid.length * grid[0].length;
  const most = Math.max(...grid.flat()) * count;
  return grid.map((row) => row.map((value) => Math.max(0, (value * count - 0.5) / Math.max(most - 0.5, 1e-6))));
}

/** Upsamples a grid to SIDE by SIDE with cubic B-splines, which never overshoot. */
function smooth(grid) {
  const across = knots(grid[0].length);
  const down = knots(grid.length);
  const surface = new Float32Array(SIDE * SIDE);
  let most = 1e-6;
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      let sum = 0;
      for (const [row, weight] of down[y])
        for (const [column, share] of across[x]) sum += grid[row][column] * weight * share;
      surface[y * SIDE + x] = sum;
      most = Math.max(most, sum);
    }
  }
  return surface.map((value) => (value / most) ** 1.4);
}

/** B-spline weights: for each of SIDE positions, pairs of grid index and weight. */
function knots(count) {
  return Array.from({ length: SIDE }, (_, place) => {
    const at = ((place + 0.5) / SIDE) * count - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return weights.map((weight, n) => [Math.min(count - 1, Math.max(0, first - 1 + n)), weight / 6]);
  });
}

/** The position of a grid's centre of mass in words, for screen readers: "upper left", "centre", … */
export function whereabouts(grid) {
  let [x, y, sum] = [0, 0, 0];
  const values = strengths(grid);
  for (const [r, row] of values.entries()) {
    for (const [c, value] of row.entries()) {
      const heavy = value ** 2;
      x += heavy * ((c + 0.5) / row.length);
      y += heavy * ((r + 0.5) / values.length);
      sum += heavy;
    }
  }
  const third = (value, names) => names[Math.min(2, Math.floor((value / sum) * 3))];
  const vertical = third(y, ["upper", "middle", "lower"]);
  const horizontal = third(x, ["left", "centre", "right"]);
  return vertical === "middle" && horizontal === "centre" ? "the centre" : `${vertical} ${horizontal}`;
}
