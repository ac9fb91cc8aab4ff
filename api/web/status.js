/* Messages around the pictures: summary, notices, empty states, and announcements to screen readers. */

import { el, icon } from "./dom.js";

const toast = document.getElementById("toast");
const state = document.getElementById("state");
const verdict = document.getElementById("verdict");
const summary = document.getElementById("summary");
const working = document.getElementById("working");
const live = document.getElementById("say");

let announcing = 0; // timer

/** Announces text to screen readers; of several in quick succession, only the last. */
export function say(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    live.textContent = text;
  }, 350);
}

/** Sets the summary beside the filters. */
export function showSummary(text) {
  summary.textContent = text;
}

let delay = 0; // timer

/** Shows a progress bar if loading takes long enough to be noticed. */
export function busy(isBusy) {
  clearTimeout(delay);
  if (isBusy) {
    delay = setTimeout(() => {
      working.hidden = false;
    }, 200);
  } else working.hidden = true;
}

let hiding = 0; // timer
let action = null; // of the button in the notice

/** Shows a notice. `kind` is "bad", "busy" or ""; `action` is [label, function]; hides after `seconds`, if given. */
export function notify(text, { kind = "", action: button = null, seconds = 0 } = {}) {
  clearTimeout(hiding);
  toast.className = `toast ${kind}`;
  action = button?.[1];
  const label = button?.[0] ?? "";
  if (toast.hidden || toast.textContent !== text + label) {
    // if unchanged, it would only be announced again and lose the focus
    toast.replaceChildren(el("span", {}, text));
    if (button) toast.append(el("button", { type: "button", className: "button" }, label));
  }
  toast.hidden = false;
  if (seconds) hiding = setTimeout(hideNotice, seconds * 1000);
}

toast.addEventListener("click", ({ target }) => {
  if (!target.matches("button")) return;
  hideNotice();
  action();
});

/** Hides a notice about trouble that is over. */
export function clearTrouble() {
  if (toast.classList.contains("bad") || toast.classList.contains("busy")) hideNotice();
}

/** Hides the notice. */
export function hideNotice() {
  clearTimeout(hiding);
  toast.hidden = true;
}

/** Shows a state instead of pictures, or null for none. `buttons` are [label, function]; the first is the main one. */
export function showState(shown) {
  state.hidden = shown === null;
  if (shown === null) return;
  const { picture, title, text, buttons = [] } = shown;
  const elements = buttons.map(([label, onClick], index) => {
    const button = el("button", { type: "button", className: index ? "button" : "button main" }, label);
    button.addEventListener("click", onClick);
    return button;
  });
  state.replaceChildren(icon(picture), el("h2", {}, title), el("p", {}, ...[text].flat()));
  if (elements.length) state.append(el("div", { className: "buttons" }, ...elements));
}

/** Shows a verdict on the whole answer above its pictures, or null for none. */
export function showVerdict(title, text) {
  verdict.hidden = title === null;
  if (title !== null) verdict.replaceChildren(el("h2", {}, title), el("p", {}, text));
}
