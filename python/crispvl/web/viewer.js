"use strict";
// The pages of a document, each with its picture and its text, which point at each other.
// Knows no server: it shows what it is given.

class Viewer {
  constructor() {
    this.sheet = new Sheet(find("sheet"), find("smaller"), find("larger"));
    this.text = new TextPane(find("text"));
    this.pages = new Map(); // by number: what is known of a page
    this.current = null;
    for (const place of [this.sheet.place, this.text.place]) {
      place.addEventListener("pointerover", (event) => this.point(event.target));
      place.addEventListener("pointerleave", () => this.light(null));
      place.addEventListener("focusin", (event) => { if (event.target !== place) this.point(event.target); });
      place.addEventListener("keydown", (event) => this.walk(event));
    }
    find("doubts").addEventListener("click", () => this.showDoubt());
  }

  clear() {
    this.pages.clear();
    this.current = null;
    find("pages").replaceChildren();
    this.sheet.place.replaceChildren();
    this.text.place.replaceChildren();
    for (const id of ["pages", "details", "doubts"]) find(id).hidden = true;
  }

  page(number) {
    if (!this.pages.has(number)) {
      const nothing = { live: "", lines: [], words: [], boxes: [], outlines: [], tiles: [0, 0], grid: [1, 1] };
      this.pages.set(number, { number, ...nothing });
    }
    return this.pages.get(number);
  }

  /** What has been read so far. */
  get read() {
    const pages = [...this.pages.values()].sort((a, b) => a.number - b.number);
    return pages.map((page) => (page.result ? page.result.text : page.live)).join("\n\n").trim();
  }

  /** Lists the pages that there will be. */
  list(numbers) {
    find("pages").hidden = numbers.length < 2;
    find("pages").replaceChildren(...numbers.map((number) => {
      const button = make("button", { type: "button", "data-page": number }, `Page ${number}`);
      button.addEventListener("click", () => this.show(number));
      return button;
    }));
    this.show(numbers[0]);
  }

  show(number) {
    this.current = number;
    this.sheet.draw(this.page(number));
    this.drawText();
    for (const button of find("pages").children) {
      if (Number(button.dataset.page) === number) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
  }

  drawText() {
    const page = this.page(this.current);
    this.text.draw(page);
    showDetails(page.result);
    const count = this.text.place.querySelectorAll(".doubt").length;
    find("doubts").hidden = !count;
    find("doubts").textContent = `${count} doubtful word${count === 1 ? "" : "s"}`;
  }

  /** Takes the picture of a page, and how it is cut up. */
  begin({ number, image, width, height, grid }) {
    Object.assign(this.page(number), { image, width, height, grid });
    const button = document.querySelector(`[data-page="${number}"]`);
    if (button && image) button.prepend(make("img", { src: image, alt: "" }));
    if (number === this.current) this.sheet.draw(this.page(number));
  }

  /** Takes what has become known of a page under way: its tiles, outlines, text or another line. */
  update(number, change) {
    const page = this.page(number);
    change(page);
    if (number !== this.current || page.awaitsDrawing) return;
    page.awaitsDrawing = true;
    requestAnimationFrame(() => {
      page.awaitsDrawing = false;
      if (number !== this.current) return;
      this.sheet.drawShapes(page);
      if (!page.result) this.text.draw(page);
    });
  }

  /** Takes a page that is done, as `crispvl.Page.to_dict` gives it. */
  finish(result) {
    const page = this.page(result.number);
    page.result = result;
    page.error = result.error ? result.error.message : null;
    page.outlines = [];
    for (const name of ["lines", "words", "boxes"]) page[name] = result[name] || [];
    if (result.width_px) [page.width, page.height, page.grid] = [result.width_px, result.height_px, result.grid];
    if (page.error) this.mark(result.number);
    if (result.number !== this.current) return;
    if (page.error) this.sheet.draw(page);
    this.sheet.drawShapes(page);
    this.drawText();
  }

  /** Marks a page that could not be read in the list. */
  mark(number) {
    const button = document.querySelector(`[data-page="${number}"]`);
    if (!button) return;
    button.classList.add("failed");
    button.append(" failed");
  }

  /** Lights up the line that something belongs to, on both sides. */
  point(target) {
    const line = target.closest("[data-line]");
    this.light(line ? line.dataset.line : null, line && this.text.place.contains(line) ? this.sheet : this.text);
  }

  light(i, other) {
    for (const node of document.querySelectorAll(".on")) node.classList.remove("on");
    if (i === null) return;
    for (const node of document.querySelectorAll(`[data-line="${i}"]`)) node.classList.add("on");
    const found = other && other.place.querySelector(`[data-line="${i}"]`);
    if (found) found.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Goes from line to line by the arrow keys. */
  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.text.place.querySelectorAll("[data-line]")];
    if (!step || !rows.length) return;
    event.preventDefault();
    const now = rows.findIndex((row) => row.classList.contains("on"));
    const next = rows[Math.min(Math.max(now + step, 0), rows.length - 1)];
    this.light(next.dataset.line, this.sheet);
    next.scrollIntoView({ block: "nearest" });
    say(next.textContent);
  }

  /** Goes to the next doubtful word. */
  showDoubt() {
    const marks = [...this.text.place.querySelectorAll(".doubt")];
    const next = marks[(marks.indexOf(this.doubt) + 1) % marks.length];
    this.doubt = next;
    next.scrollIntoView({ block: "nearest" });
    next.focus();
    say(`${next.textContent}: ${next.title}`);
  }
}

/** Says how much was read, and how sure the model was. */
function facts({ text, confidence, timings }) {
  const words = text.split(/\s+/).filter(Boolean).length;
  const seconds = (timings.total_ms / 1000).toFixed(1);
  if (!words) return `No text · ${seconds} s`;
  const percent = confidence === 1 ? "100" : Math.min(100 * confidence, 99.9).toFixed(1);
  return `${words} word${words === 1 ? "" : "s"} · ${percent}% sure · ${seconds} s`;
}

/** Shows what a page cost. */
function showDetails(result) {
  find("details").hidden = !result || Boolean(result.error);
  if (find("details").hidden) return;
  const [columns, rows] = result.grid;
  const times = Object.entries(result.timings).filter(([name, ms]) => name.endsWith("_ms") && ms);
  const known = {
    layout: result.layout,
    size: `${result.width_px} × ${result.height_px} px`,
    tiles: result.layout === "page" ? `${columns} × ${rows}, ${result.tiles} encoded` : `${result.tiles} encoded`,
    tokens: `${result.prompt_tokens} read, ${result.tokens} written`,
    passes: `${result.timings.passes || 0} of the decoder, ${result.timings.guessed || 0} tokens guessed`,
    ...Object.fromEntries(times.map(([name, ms]) => [name.slice(0, -3), `${Math.round(ms)} ms`])),
  };
  if (result.groundedness !== null) known.groundedness = `${result.groundedness.toFixed(2)} nats per token`;
  const row = ([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
  find("details").querySelector("table").replaceChildren(...Object.entries(known).map(row));
}
