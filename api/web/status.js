/* What is said besides the pictures: the line above them, notices, empty states, and what screen readers hear. */

import { el, icon } from "./dom.js";

const toast = document.getElementById("toast");
const state = document.getElementById("state");
const verdict = document.getElementById("verdict");
const summary = document.getElementById("summary");
const working = document.getElementById("working");
const live = document.getElementById("say");

let speaking = 0;

/** Tells screen readers, politely, and only the last of what comes in quick succession. */
export function say(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    live.textContent = text;
  }, 350);
}

/** The line beside the filters. */
export function showSummary(text) {
  summary.textContent = text;
}

let delay = 0;

/** Shows that something is on its way, if it takes long enough to be noticed. */
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

/** A notice over the page. `kind` is "bad", "busy" or nothing; `action` is [label, function]; it leaves after `seconds`, if given. */
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

/** Takes a notice away that tells of trouble, for that is over. */
export function clearTrouble() {
  if (toast.classList.contains("bad") || toast.classList.contains("busy")) hideNotice();
}

/** Takes the notice away. */
export function hideNotice() {
  clearTimeout(leaving);
  toast.hidden = true;
}

/** A state instead of pictures; null for none. `buttons` are [label, function], the first is the main one. */
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

/** What an answer comes to as a whole, above its pictures; null for nothing to say. */
export function showVerdict(title, text) {
  verdict.hidden = title === null;
  if (title !== null) verdict.replaceChildren(el("h2", {}, title), el("p", {}, text));
}
