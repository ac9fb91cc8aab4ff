/* Messages around the pictures: summary, notices, empty states, and announcements to screen readers. */

import { el, icon } from "./dom.js";

const toast = document.getElementById("toast");
const state = document.getElementById("state");
const verdict = document.getElementById("verdict");
const summary = document.getElementById("summary");
const working = document.getElementById("working");
const live = document.getElementById("say");

let speaking = 0;

/** Announces text to screen readers, politely; of several in quick succession, only the last. */
export function say(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    live.textContent = text;
  }, 350);
}

/** Sets the line beside the filters. */
export function showSummary(text) {
  summary.textContent = text;
}

let delay = 0;

/** Shows a progress bar if loading takes long enough to be noticed. */
export function busy(is) {
  clearTimeout(delay);
  if (is) {
    delay = setTimeout(() => {
      working.hidden = false;
    }, 200);
  } else working.hidden = true;
}

let leaving = 0;
let act = null; // what the button of the notice does

/** Shows a notice. `kind` is "bad", "busy" or ""; `action` is [label, function]; hides after `seconds`, if given. */
export function notify(text, { kind = "", action = null, seconds = 0 } = {}) {
  clearTimeout(leaving);
  toast.className = `toast ${kind}`;
  act = action?.[1];
  const label = action?.[0] ?? "";
  if (toast.hidden || toast.textContent !== text + label) {
    // else it would be read out again, and lose the focus
    toast.replaceChildren(el("span", {}, text));
    if (action) toast.append(el("button", { type: "button", className: "button" }, label));
  }
  toast.hidden = false;
  if (seconds) leaving = setTimeout(hideNotice, seconds * 1000);
}

toast.addEventListener("click", ({ target }) => {
  if (!target.matches("button")) return;
  hideNotice();
  act();
});

/** Hides a notice about trouble that is over. */
export function clearTrouble() {
  if (toast.classList.contains("bad") || toast.classList.contains("busy")) hideNotice();
}

/** Hides the notice. */
export function hideNotice() {
  clearTimeout(leaving);
  toast.hidden = true;
}

/** Shows a state instead of pictures, or null for none. `buttons` are [label, function]; the first is the main one. */
export function showState(shown) {
  state.hidden = shown === null;
  if (shown === null) return;
  const { picture, title, text, buttons = [] } = shown;
  const made = buttons.map(([label, act], place) => {
    const button = el("button", { type: "button", className: place ? "button" : "button main" }, label);
    button.addEventListener("click", act);
    return button;
  });
  state.replaceChildren(icon(picture), el("h2", {}, title), el("p", {}, ...[text].flat()));
  if (made.length) state.append(el("div", { className: "buttons" }, ...made));
}

/** Shows a verdict on the whole answer above its pictures, or null for none. */
export function showVerdict(title, text) {
  verdict.hidden = title === null;
  if (title !== null) verdict.replaceChildren(el("h2", {}, title), el("p", {}, text));
}
