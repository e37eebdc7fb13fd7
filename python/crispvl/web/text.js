"use strict";
// The text of a page, in which every line knows its place on the picture.

const DOUBTFUL = 0.8; // a word that the model was less sure of is coloured

const REMARKS = {
  blank: "This page is blank.",
  damaged: "The file is damaged; some of the page may be missing.",
  empty: "There is ink on this page, but nothing was read.",
  low_confidence: "The model was unsure of this page; look it over.",
  repetition: "The model repeated itself here; the repetition was removed.",
  truncated: "The text ends before the page does.",
};

/** Returns where each string is in a text, [start, end] by turns; null for one that is not there. */
function findInOrder(text, strings) {
  let end = 0;
  return strings.map((string) => {
    const start = string ? text.indexOf(string, end) : -1;
    if (start < 0) return null;
    end = start + string.length;
    return [start, end];
  });
}

class TextPane {
  constructor(place) {
    this.place = place;
  }

  draw(page) {
    const text = page.result ? page.result.text || "" : page.live;
    const notes = this.notes(page).map((note) => make("p", { class: "note" }, note));
    const rows = this.rows(page, text);
    if (!page.result) rows.push(make("span", { class: "live" }));
    this.place.replaceChildren(...notes, ...rows);
  }

  notes(page) {
    if (page.error) return [page.error];
    return page.result ? page.result.flags.map((flag) => REMARKS[flag]).filter(Boolean) : [];
  }

  /** Returns a text as nodes: its lines, and what is between them. */
  rows(page, text) {
    const words = findInOrder(text, page.words.map(([word]) => word));
    const nodes = [];
    let end = 0;
    findInOrder(text, page.lines.map((line) => line.text)).forEach((span, i) => {
      if (!span) return;
      const inner = this.words(page, text, span, words);
      nodes.push(text.slice(end, span[0]), make("span", { class: "row", "data-line": i }, ...inner));
      end = span[1];
    });
    nodes.push(...this.words(page, text, [end, text.length], words));
    return nodes;
  }

  /** Returns a part of a text as nodes, doubtful words marked. */
  words(page, text, [start, end], spans) {
    const nodes = [];
    spans.forEach((span, i) => {
      const [word, confidence] = page.words[i];
      if (!span || span[0] < start || span[1] > end || confidence >= DOUBTFUL) return;
      nodes.push(text.slice(start, span[0]), this.doubt(word, confidence));
      start = span[1];
    });
    return [...nodes, text.slice(start, end)];
  }

  doubt(text, confidence) {
    const percent = Math.round(100 * confidence);
    const mark = make("mark", { class: "doubt", title: `${percent}% sure`, tabindex: "-1" }, text);
    mark.style.setProperty("--much", (0.15 + 0.5 * (1 - confidence)).toFixed(2));
    return mark;
  }
}
