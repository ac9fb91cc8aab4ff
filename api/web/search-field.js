/* The search field: searches shortly after the last key stroke, or at once on Enter. */

const DEBOUNCE = 150; // milliseconds
const SENTENCE = 2000; // milliseconds between searches after which typing adds a history entry

const narrow = window.matchMedia("(max-width: 47.5rem)");

/**
 * Wires the field, its form and its clear button.
 *
 * `search(text, { replace })` is called with the typed text, `clearText()` on Escape, `clearQuery()` by the clear button,
 * and `enterGrid()` to move the focus into the grid.
 */
export function searchField(field, { search, clearText, clearQuery, enterGrid }) {
  const clear = document.getElementById("clear");
  let hasPicture = false; // a query picture
  let timer = 0; // 0 unless a search is pending
  let lastSearch = 0; // time of the last search by typing

  function send(replace) {
    lastSearch = performance.now();
    search(field.value, { replace });
  }

  function cancel() {
    clearTimeout(timer);
    timer = 0;
  }

  function updateClearButton() {
    clear.hidden = field.value === "" && !hasPicture;
  }

  field.addEventListener("input", () => {
    updateClearButton();
    clearTimeout(timer);
    timer = setTimeout(() => send(performance.now() - lastSearch < SENTENCE), DEBOUNCE);
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    send(false);
    if (window.matchMedia("(pointer: coarse)").matches) field.blur(); // the keyboard covers the pictures
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && enterGrid()) event.preventDefault();
    if (event.key === "Escape" && field.value) {
      event.preventDefault();
      clearText();
    }
  });
  clear.addEventListener("click", () => {
    clearQuery();
    field.focus({ preventScroll: true });
  });

  return {
    /** Shows a query, keeping spaces that are being typed. */
    show({ q, like, upload }) {
      hasPicture = Boolean(like || upload);
      if (field.value.trim() !== q.trim()) field.value = q;
      field.placeholder = hasPicture
        ? "Add words, such as: at night"
        : narrow.matches
          ? "Describe a picture"
          : "Describe a picture, or drop one here";
      updateClearButton();
    },
    /** Cancels a pending search; returns its text, or null if none is pending. */
    takePending() {
      const text = timer ? field.value : null;
      cancel();
      return text;
    },
  };
}
