// Making elements: el("button", { type: "button", className: "quiet" }, "Text", otherElement).

/** An element with properties and children; strings become text, so nothing from the server is read as HTML. */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
