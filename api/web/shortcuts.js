/* Page-wide keyboard shortcuts, and the theme button. */

/** "/" focuses the field; left and right enter the grid if nothing has the focus; Escape leaves it for the field. */
export function shortcuts({ field, main, enterGrid }) {
  document.addEventListener("keydown", (event) => {
    const isWriting = event.target.matches("input, textarea, select");
    const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
    if (
      event.key === "/" &&
      (!isWriting || event.target.matches("[type=checkbox]")) &&
      !hasModifier &&
      !document.querySelector("dialog[open]")
    ) {
      event.preventDefault();
      document.querySelector(":popover-open")?.hidePopover();
      field.focus({ preventScroll: true });
      field.select();
    } else if (/^Arrow(Left|Right)$/.test(event.key) && event.target === document.body && !event.altKey && enterGrid())
      event.preventDefault(); // up and down scroll
    else if (event.key === "Escape" && !isWriting && !event.defaultPrevented && main.contains(event.target))
      field.focus({ preventScroll: true });
  });
}

/** Switches between light and dark, and remembers the choice. */
export function themeButton(say) {
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("crosslook-theme", root.dataset.theme);
    say(`${root.dataset.theme} colours`);
  });
}
