/* Asks for an API key when the server requires one. It is kept as long as this tab is open. */

import { el } from "./dom.js";

const dialog = document.getElementById("key");

/** Asks for a key; `isWrong` says that the previous one was refused. Rejects if the dialog is closed without a key. */
export function askForKey(isWrong) {
  const field = el("input", { className: "field", type: "password", autocomplete: "current-password", required: true });
  const message = el("p", { className: "wrong", role: "alert" }, isWrong ? "That key is not valid here." : "");
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "key-title" }, "This server requires an API key"),
    el(
      "p",
      { className: "muted" },
      "Whoever runs it can create one with: crosslook keys add NAME. It is kept in this tab only.",
    ),
    el("label", {}, "API key", field),
    message,
    el("button", { className: "button main" }, "Continue"),
  );
  dialog.replaceChildren(form);
  dialog.showModal();
  return new Promise((resolve, reject) => {
    form.addEventListener("submit", () => resolve(field.value.trim()));
    dialog.addEventListener("close", () => reject(new Error("no key was given")), { once: true });
  });
}
