"use strict";
// Small things that every part of the page uses.

const SVG = "http://www.w3.org/2000/svg";

const find = (id) => document.getElementById(id);

/** Makes an element; children that are strings become text, never markup. */
function make(name, attributes = {}, ...children) {
  return dressed(document.createElement(name), attributes, children);
}

/** Makes an element of a drawing. */
function shape(name, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, name), attributes, children);
}

function dressed(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Tells something to whoever cannot see it. */
function say(text) {
  find("status").textContent = text;
}

/** Shows what went wrong, until it is closed. */
function fail(error) {
  const said = make("span", { dir: "auto" }, error.message);
  const close = make("button", { type: "button", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => { find("error").hidden = true; });
  find("error").replaceChildren(close, said);
  find("error").hidden = false;
}

find("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});
