"use strict";
// The picture of a page, with its lines, doubtful words, tiles and boxes upon it.

const ZOOMS = [1, 1.4, 2, 3, 4]; // times the size at which the whole page is seen

class Sheet {
  constructor(place, smaller, larger) {
    Object.assign(this, { place, zoom: 0, overlay: null });
    smaller.addEventListener("click", () => this.resize(-1));
    larger.addEventListener("click", () => this.resize(1));
    this.buttons = [smaller, larger];
    this.resize(0);
  }

  resize(step) {
    this.zoom = Math.min(Math.max(this.zoom + step, 0), ZOOMS.length - 1);
    this.place.style.setProperty("--zoom", ZOOMS[this.zoom]);
    this.buttons[0].disabled = this.zoom === 0;
    this.buttons[1].disabled = this.zoom === ZOOMS.length - 1;
  }

  draw(page) {
    this.overlay = null;
    if (!page.image) {
      this.place.replaceChildren(make("p", { class: "note" }, page.error ? "This page cannot be shown." : "…"));
      return;
    }
    this.overlay = shape("svg", {
      viewBox: `0 0 ${page.width} ${page.height}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    const figure = make("figure", {}, make("img", { src: page.image, alt: `Page ${page.number}` }), this.overlay);
    figure.style.setProperty("--ratio", page.width / page.height);
    this.place.replaceChildren(figure);
    this.drawShapes(page);
  }

  drawShapes(page) {
    if (!this.overlay) return;
    this.overlay.replaceChildren();
    for (const quad of page.outlines) this.add("polygon", { class: "shape", points: quad.join(" ") });
    page.lines.forEach((line, i) => this.drawLine(line, i));
    for (const word of page.words) this.drawDoubt(word);
    for (const box of page.boxes) this.drawBox(box);
    if (!page.outlines.length && !page.lines.some((line) => line.quad)) this.drawTiles(page);
  }

  drawLine(line, i) {
    if (line.quad) this.add("polygon", { class: "shape read", points: line.quad.join(" "), "data-line": i });
  }

  drawDoubt([text, confidence, box, quad]) {
    if (!box || confidence >= DOUBTFUL) return;
    const [left, top, right, bottom] = box;
    const corners = quad || [[left, top], [right, top], [right, bottom], [left, bottom]];
    this.add("polygon", { class: "unsure", points: corners.join(" ") });
  }

  drawBox({ label, left, top, right, bottom }) {
    const size = { x: left, y: top, width: right - left, height: bottom - top };
    this.add("rect", { class: "box", ...size }, shape("title", {}, label));
  }

  drawTiles(page) {
    const [columns, rows] = page.grid;
    const [done, all] = page.result ? [1, 0] : page.tiles;
    const [width, height] = [page.width / columns, page.height / rows];
    for (let i = 0; i < columns * rows; i++) {
      const corner = { x: width * (i % columns), y: height * Math.floor(i / columns) };
      const kind = page.result ? "tile done" : all && i < done ? "tile read" : "tile";
      this.add("rect", { class: kind, ...corner, width, height });
    }
  }

  add(name, attributes, ...children) {
    if (this.overlay) this.overlay.append(shape(name, attributes, ...children));
  }
}
