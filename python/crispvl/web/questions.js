"use strict";
// Questions about the page that is shown, answered by the same model.

class Questions {
  /** @param about gives the file, the page's number and the model's name. */
  constructor(form, log, about) {
    Object.assign(this, { form, log, about, turns: [], number: null, running: null });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const question = form.question.value.trim();
      if (question && !this.running) this.ask(question);
    });
    form.hush.addEventListener("click", () => this.stop());
  }

  clear() {
    this.stop();
    this.turns = [];
    this.log.replaceChildren();
  }

  stop() {
    if (this.running) this.running.abort();
  }

  async ask(question) {
    const { file, number, model, password } = this.about();
    if (number !== this.number) this.turns = []; // another page is another conversation
    this.number = number;
    this.form.question.value = "";
    this.log.append(make("p", { class: "turn mine" }, question));
    const answer = make("p", { class: "turn live" });
    this.log.append(answer);
    this.running = new AbortController();
    this.setBusy(true);
    try {
      const first = [{ type: "file", file: { file_data: await asDataAddress(file), filename: file.name } }];
      const turns = [...this.turns, { role: "user", content: question }];
      const messages = turns.map((turn, i) =>
        i ? turn : { role: "user", content: [...first, { type: "text", text: turn.content }] });
      const body = { model, password, messages, pages: String(number), layout: "page", stream: true };
      const init = {
        body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal: this.running.signal,
      };
      for await (const [, chunk] of ask("v1/chat/completions", init)) {
        if (chunk.choices && chunk.choices[0]) answer.append(chunk.choices[0].delta.content || "");
        this.log.scrollTop = this.log.scrollHeight;
      }
      this.turns = [...turns, { role: "assistant", content: answer.textContent }];
    } catch (error) {
      if (error.name === "AbortError") say("Stopped.");
      else fail(error);
    } finally {
      answer.classList.remove("live");
      this.running = null;
      this.setBusy(false);
    }
  }

  setBusy(busy) {
    const hadFocus = this.form.contains(document.activeElement);
    [this.form.send.hidden, this.form.hush.hidden] = [busy, !busy];
    if (hadFocus) this.form.question.focus(); // the button that had it may be hidden now
  }
}
