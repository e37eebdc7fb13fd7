"use strict";
// Shows read pages: the picture with its lines or tiles, and the text beside it. Knows no server.

const SVG = "http://www.w3.org/2000/svg";
const DOUBTFUL = 0.8; // a word that the model was less sure of is coloured

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** The lines of a page as `crispvl.Page.to_dict` gives it; without places where it has none. */
function linesOf(page) {
  if (page.lines) return page.lines.map((line) => ({ ...line, text: line.text }));
  return page.text.split("\n").map((text) => ({ text, quad: null, block: 0, confidence: 1 }));
}

/** Hands each line its share of the page's words, which come in the same order. */
function wordsByLine(page, lines) {
  const words = [...(page.words || [])];
  return lines.map((line) => {
    const count = line.text.split(/\s+/).filter(Boolean).length;
    return words.splice(0, count);
  });
}

class Viewer {
  constructor(sheet, text) {
    this.sheet = sheet;
    this.text = text;
    this.pages = new Map(); // by number: what is known of a page
    this.current = null;
    for (const place of [sheet, text]) {
      place.addEventListener("pointerover", (event) => this.point(event.target));
      place.addEventListener("pointerleave", () => this.point(null));
      place.addEventListener("focusin", (event) => this.point(event.target));
    }
    sheet.addEventListener("click", (event) => this.scrollTo(event.target, this.text));
  }

  clear() {
    this.pages.clear();
    this.current = null;
    this.sheet.replaceChildren();
    this.text.replaceChildren();
  }

  page(number) {
    if (!this.pages.has(number)) {
      this.pages.set(number, { number, live: "", lines: [], outlines: [], tiles: [0, 0], grid: [1, 1] });
    }
    return this.pages.get(number);
  }

  show(number) {
    this.current = number;
    this.drawSheet();
    this.drawText();
  }

  drawSheet() {
    const page = this.page(this.current);
    if (!page.image) return this.sheet.replaceChildren(make("p", { class: "note" }, "…"));
    const figure = make("figure");
    figure.append(make("img", { src: page.image, alt: `Page ${page.number}` }));
    this.overlay = shape("svg", {
      viewBox: `0 0 ${page.width} ${page.height}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    figure.append(this.overlay);
    this.sheet.replaceChildren(figure);
    this.drawShapes();
  }

  drawShapes() {
    const page = this.page(this.current);
    if (!this.overlay) return;
    this.overlay.replaceChildren();
    page.outlines.forEach((quad) => this.overlay.append(shape("polygon", { class: "shape", points: quad.join(" ") })));
    page.lines.forEach((line, i) => this.drawLine(line, i));
    if (!page.outlines.length && !page.lines.some((line) => line.quad)) this.drawTiles(page);
  }

  drawLine(line, i) {
    if (!line.quad) return;
    const kind = line.confidence < DOUBTFUL ? "shape read unsure" : "shape read";
    this.overlay.append(shape("polygon", { class: kind, points: line.quad.join(" "), "data-line": i }));
  }

  drawTiles(page) {
    const [columns, rows] = page.grid;
    const [done, all] = page.result ? [1, 1] : page.tiles;
    for (let i = 0; i < columns * rows; i++) {
      this.overlay.append(shape("rect", {
        class: all && i < done ? "tile read" : "tile",
        x: (page.width / columns) * (i % columns), y: (page.height / rows) * Math.floor(i / columns),
        width: page.width / columns, height: page.height / rows,
      }));
    }
  }

  drawText() {
    const page = this.page(this.current);
    if (page.error) return this.text.replaceChildren(make("p", { class: "note" }, page.error));
    if (!page.result && !page.lines.length) {
      return this.text.replaceChildren(make("span", { class: "live" }, page.live));
    }
    if (page.result && !page.result.text) {
      return this.text.replaceChildren(make("p", { class: "note" }, "There is no text on this page."));
    }
    this.text.replaceChildren(...page.lines.map((line, i) => this.row(page, line, i)));
  }

  row(page, line, i) {
    const previous = page.lines[i - 1];
    const row = make("span", { class: previous && previous.block !== line.block ? "row gap" : "row", "data-line": i });
    const words = line.words && line.words.length ? line.words : null;
    if (!words) return row.append(line.text || " "), row;
    let rest = line.text;
    for (const [text, confidence] of words) {
      const at = rest.indexOf(text);
      if (at < 0) continue;
      row.append(rest.slice(0, at), confidence < DOUBTFUL ? this.doubt(text, confidence) : text);
      rest = rest.slice(at + text.length);
    }
    row.append(rest);
    return row;
  }

  doubt(text, confidence) {
    const percent = Math.round(100 * confidence);
    const mark = make("mark", { class: "doubt", title: `${percent}% sure` }, text);
    mark.style.setProperty("--much", (0.15 + 0.5 * (1 - confidence)).toFixed(2));
    return mark;
  }

  /** Takes one line that has been read, while its page is under way. */
  addLine(number, line) {
    const page = this.page(number);
    page.lines.push(line);
    if (number !== this.current) return;
    const i = page.lines.length - 1;
    if (i === 0) this.text.replaceChildren();
    if (this.overlay) this.drawLine(line, i);
    this.text.append(this.row(page, line, i));
  }

  /** Takes a page that is done. */
  finish(result) {
    const page = this.page(result.number);
    page.result = result;
    page.error = result.error ? result.error.message : null;
    page.lines = result.error ? [] : linesOf(result);
    page.outlines = [];
    const words = wordsByLine(result, page.lines);
    page.lines.forEach((line, i) => { line.words = words[i]; });
    if (result.width_px) [page.width, page.height, page.grid] = [result.width_px, result.height_px, result.grid];
    if (result.number === this.current) { this.drawShapes(); this.drawText(); }
  }

  point(target) {
    const line = target && target.closest ? target.closest("[data-line]") : null;
    for (const node of document.querySelectorAll(".on")) node.classList.remove("on");
    if (!line) return;
    for (const place of [this.sheet, this.text]) {
      for (const node of place.querySelectorAll(`[data-line="${line.dataset.line}"]`)) node.classList.add("on");
    }
    if (this.text.contains(line)) this.scrollTo(line, this.sheet);
  }

  scrollTo(target, place) {
    const line = target.closest ? target.closest("[data-line]") : null;
    const other = line && place.querySelector(`[data-line="${line.dataset.line}"]`);
    if (other) other.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
