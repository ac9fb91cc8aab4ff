/* Asks for an API key where the server wants one. It is kept as long as this tab. */

import { el } from "./dom.js";

const dialog = document.getElementById("key");

/** Promises a key; `wrong` is what the server said of the last one, "" at first. */
export function askForKey(wrong) {
  const field = el("input", { className: "field", type: "password", autocomplete: "current-password", required: true });
  const message = el("p", { className: "wrong", role: "alert" }, wrong ? "That key is not valid here." : "");
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "key-title" }, "This server asks for a key"),
    el("p", { className: "muted" }, "Whoever runs it can make one with: crosslook keys add NAME. It stays in this tab."),
    el("label", {}, "API key", field),
    message,
    el("button", { className: "button main" }, "Continue"),
  );
  dialog.replaceChildren(form);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault(); // without a key there is nothing to see
    form.addEventListener("submit", () => resolve(field.value.trim()));
  });
}
