"use strict";
// Copying and saving what was read.

const FORMATS = [
  ["text", "Text", "txt"], ["markdown", "Markdown", "md"], ["json", "JSON", "json"],
  ["hocr", "hOCR", "hocr"], ["alto", "ALTO", "xml"], ["pdf", "Searchable PDF", "pdf"],
];

class Downloads {
  /**
   * @param kinds the formats that there are.
   * @param result gives the document that was read, and its `stem` for names of files.
   * @param write gives the document in a format, as a Blob.
   */
  constructor(kinds, result, write) {
    Object.assign(this, { menu: find("save"), result, write });
    for (const [kind, label, suffix] of FORMATS.filter(([kind]) => kinds.includes(kind))) {
      const button = make("button", { type: "button", "data-format": kind }, label);
      button.addEventListener("click", () => this.save(kind, suffix));
      find("formats").append(button);
    }
    find("copy").addEventListener("click", () => this.copy());
    this.menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.menu.open = false; this.menu.querySelector("summary").focus(); }
    });
    document.addEventListener("click", (event) => { if (!this.menu.contains(event.target)) this.menu.open = false; });
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.result().text);
      say("The text is on the clipboard.");
      find("copy").textContent = "Copied";
      setTimeout(() => { find("copy").textContent = "Copy"; }, 1500);
    } catch {
      fail(new Error("The browser does not let this page write to the clipboard."));
    }
  }

  async save(kind, suffix) {
    this.menu.open = false;
    try {
      const blob = await this.write(kind);
      const link = make("a", { href: URL.createObjectURL(blob), download: `${this.result().stem}.${suffix}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      say(`${link.download} is saved.`);
    } catch (error) {
      fail(error);
    }
  }
}

/** Returns a file's name without its suffix. */
function stem(name) {
  return name.replace(/^.*[\\/]/, "").replace(/\.[^.]*$/, "") || "document";
}
