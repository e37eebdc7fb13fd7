"use strict";
// The page itself: takes a document, has it read, and shows what comes.

const find = (id) => document.getElementById(id);
const viewer = new Viewer(find("sheet"), find("text"));
let file = null; // the document that is shown
let result = null; // what was read of it
let reading = null; // stops the request that runs

const say = (text) => { find("status").textContent = text; };

function fail(error) {
  const close = make("button", { type: "button", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => { find("error").hidden = true; });
  find("error").replaceChildren(close, error.message);
  find("error").hidden = false;
}

const questions = new Questions(find("ask"), find("turns"), () => ({
  file, number: viewer.current, model: find("model").value || undefined,
}), fail);
new Downloads(find("save"), find("formats"), find("copy"), () => result, say, fail);

async function read(next) {
  stop();
  file = next;
  result = null;
  viewer.clear();
  questions.clear();
  find("error").hidden = true;
  find("pages").replaceChildren();
  for (const [id, shown] of [["welcome", 0], ["work", 1], ["tools", 1], ["talk", 0], ["pages", 0], ["save", 0]]) find(id).hidden = !shown;
  find("copy").disabled = true;
  setBusy(true);
  const own = reading = new AbortController();
  try {
    await follow(own);
  } catch (error) {
    if (error.name === "AbortError") { if (own === reading) say("Stopped."); }
    else fail(error);
  } finally {
    if (own === reading) { reading = null; setBusy(false); }
  }
}

async function follow(own) {
  const form = new FormData();
  form.append("file", file, file.name);
  const fields = { stream: "true", preview: "true", keep: "true", layout: find("layout").value, model: find("model").value };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  say(`Reading ${file.name}.`);
  find("facts").textContent = "Waiting for a turn…";
  for await (const [name, data] of ask("v1/ocr", { body: form, signal: own.signal })) {
    if (own !== reading) return;
    if (handlers[name]) handlers[name](data);
  }
}

const handlers = {
  document(data) {
    viewer.numbers = data.numbers;
    viewer.show(data.numbers[0]);
    listPages(data.numbers);
  },
  started(data) {
    Object.assign(viewer.page(data.number), { image: data.image, width: data.width, height: data.height, grid: data.grid });
    const button = document.querySelector(`[data-page="${data.number}"]`);
    if (button) button.prepend(make("img", { src: data.image, alt: "" }));
    if (data.number === viewer.current) viewer.drawSheet();
    find("facts").textContent = `Reading page ${data.number}…`;
  },
  tiles(data) {
    viewer.page(data.number).tiles = [data.n_done, data.n_tiles];
    if (data.number === viewer.current) viewer.drawShapes();
    setProgress(data.number, 0.5 * data.n_done / data.n_tiles);
  },
  layout(data) {
    viewer.page(data.number).outlines = data.quads;
    if (data.number === viewer.current) viewer.drawShapes();
  },
  line(data) {
    viewer.addLine(data.number, data.line);
  },
  text(data) {
    const page = viewer.page(data.number);
    page.live += data.text;
    if (data.number === viewer.current && !page.lines.length) viewer.drawText();
  },
  page(data) {
    viewer.finish(data);
    setProgress(data.number, 1);
  },
  done(data) {
    const name = file.name.replace(/\.[^.]*$/, "") || "document";
    result = { ...data, stem: name };
    const words = data.text.split(/\s+/).filter(Boolean).length;
    const seconds = (data.timings.total_ms / 1000).toFixed(1);
    find("facts").textContent = `${words} words · ${Math.round(100 * data.confidence)}% sure · ${seconds} s`;
    say(`Done: ${words} words.`);
    find("copy").disabled = false;
    find("save").hidden = !data.id;
    find("talk").hidden = false;
  },
};

const shares = new Map(); // by page: how much of it is done
function setProgress(number, share) {
  shares.set(number, share);
  const all = [...shares.values()].reduce((a, b) => a + b, 0) / (viewer.numbers || [1]).length;
  const percent = Math.round(100 * Math.min(all, 1));
  find("progress").setAttribute("aria-valuenow", percent);
  find("progress").firstElementChild.style.width = `${percent}%`;
}

function setBusy(busy) {
  if (busy) shares.clear();
  find("stop").hidden = find("progress").hidden = !busy;
  find("progress").firstElementChild.style.width = "0";
  find("text").setAttribute("aria-busy", busy);
  if (!busy) for (const node of document.querySelectorAll("#text .live")) node.classList.remove("live");
}

function listPages(numbers) {
  find("pages").hidden = numbers.length < 2;
  for (const number of numbers) {
    const button = make("button", { type: "button", "data-page": number }, `Page ${number}`);
    button.addEventListener("click", () => select(number));
    find("pages").append(button);
  }
  select(numbers[0]);
}

function select(number) {
  viewer.show(number);
  for (const button of find("pages").children) {
    if (Number(button.dataset.page) === number) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
}

function stop() {
  if (reading) reading.abort();
  questions.stop();
}

function startAgain() {
  stop();
  for (const [id, shown] of [["welcome", 1], ["work", 0], ["tools", 0]]) find(id).hidden = !shown;
  find("file").value = "";
  find("file").focus();
}

find("stop").addEventListener("click", stop);
find("again").addEventListener("click", startAgain);
find("layout").addEventListener("change", () => { if (file) read(file); });
find("file").addEventListener("change", (event) => { if (event.target.files[0]) read(event.target.files[0]); });
find("sample").addEventListener("click", async () => {
  const response = await fetch("static/sample.png");
  read(new File([await response.blob()], "sample.png", { type: "image/png" }));
});
find("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const pasted = [...event.clipboardData.files][0];
  if (pasted) { event.preventDefault(); read(pasted); }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && reading) stop(); });

async function listModels() {
  const response = await fetch("v1/models");
  if (!response.ok) throw await problem(response);
  const names = (await response.json()).data.map((card) => card.id);
  find("model").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  find("model-field").hidden = names.length < 2;
}
listModels().catch(fail);
