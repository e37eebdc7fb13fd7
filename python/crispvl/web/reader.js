"use strict";
// The page of a server: takes a document, has it read, and shows what comes.

const viewer = new Viewer();
let file = null; // the document that is shown
let password = ""; // of the document
let result = null; // what was read of it
let reading = null; // stops the request that runs

const questions = new Questions(find("ask"), find("turns"), () => ({
  file, number: viewer.current, model: find("model").value || undefined, password: password || undefined,
}));
new Downloads(FORMATS.map(([kind]) => kind), () => result, async (kind) => {
  let response = await reached(fetch(`v1/ocr/${result.id}?format=${kind}`));
  if (response.status === 404) { // kept no longer, or by another replica
    response = await reached(fetch("v1/ocr", { method: "POST", body: form({ format: kind }) }));
  }
  if (!response.ok) throw await problem(response);
  return response.blob();
});

/** Has a document read; a further one takes the place of the first. */
async function read(next, key = "") {
  stop();
  file = next;
  password = key;
  result = null;
  nameDocument(file.name);
  viewer.clear();
  questions.clear();
  find("error").hidden = true;
  for (const [id, shown] of [["welcome", 0], ["work", 1], ["tools", 1], ["talk", 0], ["save", 0]]) find(id).hidden = !shown;
  find("copy").disabled = true;
  find("work").scrollTop = 0;
  setBusy(true);
  const own = reading = new AbortController();
  try {
    await follow(own);
  } catch (error) {
    if (own !== reading) return;
    await endEarly(error);
  } finally {
    if (own === reading) { reading = null; setBusy(false); }
  }
}

/** Says why a document was not read to its end, and leaves what was. */
async function endEarly(error) {
  if (error.code === "password_required") return unlock();
  const isStopped = error.name === "AbortError";
  const isOpen = viewer.pages.size > 0;
  const name = file.name;
  if (isStopped || isOpen) leave(isStopped ? "Stopped." : "Not read to the end.");
  else startAgain();
  if (!isStopped) fail(new Error(`${name} was not read${isOpen ? " to the end" : ""}. ${error.message}`));
}

/** Asks for the password of a document and has it read with that. */
async function unlock() {
  const [locked, wasWrong] = [file, password !== ""];
  startAgain();
  const key = await askPassword(locked.name, wasWrong);
  if (key) read(locked, key);
}

function nameDocument(name) {
  find("name").textContent = name;
  document.title = name ? `${name} – crispvl` : "crispvl";
}

/** Returns the document and what is wanted of it. */
function form(fields) {
  const data = new FormData();
  data.append("file", file, file.name);
  const chosen = { layout: find("layout").value, model: find("model").value, password };
  for (const [name, value] of Object.entries({ ...chosen, ...fields })) data.append(name, value);
  return data;
}

async function follow(own) {
  say(`Reading ${file.name}.`);
  find("facts").textContent = "Waiting for a turn…";
  const body = form({ stream: "true", preview: "true", keep: "true" });
  for await (const [name, data] of ask("v1/ocr", { body, signal: own.signal })) {
    if (own !== reading) return;
    if (handlers[name]) handlers[name](data);
  }
}

const handlers = {
  document(data) {
    share.clear();
    data.numbers.forEach((number) => share.set(number, 0));
    viewer.list(data.numbers);
  },
  started(data) {
    viewer.begin(data);
    tellProgress();
  },
  tiles(data) {
    viewer.update(data.number, (page) => { page.tiles = [data.n_done, data.n_tiles]; });
    setProgress(data.number, 0.5 * data.n_done / data.n_tiles);
  },
  layout(data) {
    viewer.update(data.number, (page) => { page.outlines = data.quads; });
  },
  line(data) {
    viewer.update(data.number, (page) => { page.lines.push(data.line); });
  },
  text(data) {
    viewer.update(data.number, (page) => { page.live += data.text; });
  },
  page(data) {
    viewer.finish(data);
    setProgress(data.number, 1);
    tellProgress();
  },
  done(data) {
    result = { ...data, stem: stem(file.name) };
    find("facts").textContent = facts(data);
    say(`Done: ${facts(data)}.`);
    find("copy").disabled = false;
    find("save").hidden = !data.id;
    find("talk").hidden = false;
    advise(data.model).catch(fail);
  },
};

const share = new Map(); // by page: how much of it is done
function setProgress(number, done) {
  share.set(number, Math.max(share.get(number) || 0, done));
  const percent = Math.round(100 * [...share.values()].reduce((a, b) => a + b, 0) / share.size);
  find("progress").setAttribute("aria-valuenow", percent);
  find("progress").firstElementChild.style.width = `${percent}%`;
}

function tellProgress() {
  const done = [...share.values()].filter((part) => part === 1).length;
  find("facts").textContent = share.size === 1 ? "Reading…" : `${done} of ${share.size} pages read…`;
}

function setBusy(busy) {
  find("stop").hidden = find("progress").hidden = !busy;
  find("progress").setAttribute("aria-valuenow", 0);
  find("progress").firstElementChild.style.width = "0";
  find("text").setAttribute("aria-busy", busy);
}

function stop() {
  if (reading) reading.abort();
  questions.stop();
}

/** Leaves what was read so far, to be copied. */
function leave(why) {
  for (const node of document.querySelectorAll("#text .live")) node.classList.remove("live");
  find("facts").textContent = why;
  result = { text: viewer.read };
  find("copy").disabled = !result.text;
  say(why);
}

function startAgain() {
  stop();
  nameDocument("");
  for (const [id, shown] of [["welcome", 1], ["work", 0], ["tools", 0]]) find(id).hidden = !shown;
  find("file").value = "";
  find("file").focus();
}

find("stop").addEventListener("click", stop);
find("again").addEventListener("click", startAgain);
for (const id of ["layout", "model"]) find(id).addEventListener("change", () => { if (file) read(file); });
find("file").addEventListener("change", (event) => { if (event.target.files[0]) read(event.target.files[0]); });
find("sample").addEventListener("click", async () => {
  try {
    const response = await reached(fetch("static/sample.png"));
    read(new File([await response.blob()], "sample.png", { type: "image/png" }));
  } catch (error) {
    fail(error);
  }
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
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });

async function listModels() {
  const response = await reached(fetch("v1/models"));
  if (!response.ok) throw await problem(response);
  const cards = (await response.json()).data;
  find("model").replaceChildren(...cards.map((card) => make("option", { value: card.id }, card.id)));
  find("model-field").hidden = cards.length < 2;
}

/** Says what questions are good for, of a model that is loaded now. */
async function advise(model) {
  const response = await reached(fetch(`v1/models/${encodeURIComponent(model)}`));
  if (!response.ok) throw await problem(response);
  find("advice").hidden = (await response.json()).layout === "page";
}
listModels().catch(fail);
