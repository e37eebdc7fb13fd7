"use strict";
// Copying and saving what was read.

const FORMATS = [
  ["text", "Text", "txt"], ["markdown", "Markdown", "md"], ["json", "JSON", "json"],
  ["hocr", "hOCR", "hocr.html"], ["alto", "ALTO", "xml"], ["pdf", "Searchable PDF", "pdf"],
];

class Downloads {
  /** @param results gives the document that was read, its `id` on the server included. */
  constructor(menu, list, copy, results, say, fail) {
    Object.assign(this, { menu, results, say, fail });
    for (const [kind, label, suffix] of FORMATS) {
      const button = make("button", { type: "button", "data-format": kind }, label);
      button.addEventListener("click", () => this.save(kind, suffix));
      list.append(button);
    }
    copy.addEventListener("click", () => this.copy());
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); }
    });
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.results().text);
      this.say("The text is on the clipboard.");
    } catch {
      this.fail(new Error("The browser does not let this page write to the clipboard."));
    }
  }

  async save(kind, suffix) {
    this.menu.open = false;
    const result = this.results();
    try {
      const blob = await this.write(kind, result);
      const link = make("a", { href: URL.createObjectURL(blob), download: `${result.stem}.${suffix}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      this.say(`${link.download} is saved.`);
    } catch (error) {
      this.fail(error);
    }
  }

  async write(kind, result) {
    const response = await fetch(`v1/ocr/${result.id}?format=${kind}`);
    if (!response.ok) throw await problem(response);
    return response.blob();
  }
}
