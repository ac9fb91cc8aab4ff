/* The views beside the pictures, indexing and comparing: each is loaded when it is first opened. */

import { notify } from "./status.js";

const LOADERS = {
  indexing: async (host, options) => (await import("./indexing.js")).indexing(host, options),
  compare: async (host, options) => (await import("./compare.js")).compare(host, options),
};

/**
 * Connects the views' buttons and events.
 *
 * `options` holds the arguments of each view by name, `current()` returns the name of the open view or null, and
 * `go(changes)` changes the page's state. The returned `draw(hasChanged)` opens and closes views; `hasChanged(name)` says
 * whether a view must be opened or updated.
 */
export function views({ options, current, go }) {
  const panels = {}; // promises of the loaded views

  for (const name of Object.keys(LOADERS)) {
    const host = document.getElementById(name);
    const button = document.getElementById(`open-${name}`);
    button.addEventListener("click", () => go({ view: current() === name ? null : name, picture: null }));
    host.addEventListener("leave", () => {
      go({ view: null });
      button.focus({ preventScroll: true });
    });
    host.addEventListener("show", ({ detail }) => go({ view: null, picture: detail.id }, { opened: true }));
  }

  async function toggle(name, hasChanged) {
    let panel;
    try {
      panels[name] ??= LOADERS[name](document.getElementById(name), options[name]);
      panel = await panels[name];
    } catch {
      delete panels[name];
      if (current() !== name) return;
      go({ view: null }, { replace: true });
      const retry = () => go({ view: name, picture: null });
      notify("This view could not be loaded.", { action: ["Try again", retry], seconds: 10 });
      return;
    }
    if (current() !== name) panel.close();
    else if (hasChanged) {
      window.scrollTo({ top: 0, behavior: "instant" });
      panel.open();
    }
  }

  return {
    draw(hasChanged) {
      for (const name of Object.keys(LOADERS)) {
        document.getElementById(`open-${name}`).ariaPressed = String(current() === name);
        if (current() === name || panels[name]) toggle(name, hasChanged(name));
      }
    },
  };
}
