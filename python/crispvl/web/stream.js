"use strict";
// Requests to the server, and the events that come back.

/** What went wrong, in the server's words and with its code for it. */
async function problem(response) {
  try {
    return told((await response.json()).error);
  } catch {
    return new Error(`The server answered ${response.status}.`);
  }
}

/** Makes a sentence of "[where] expected this; found that; do so": where is for programs. */
function told({ message, code }) {
  const said = message.replace(/^\[[^\]]*\] /, "");
  return Object.assign(new Error(`${said.charAt(0).toUpperCase()}${said.slice(1)}.`), { code });
}

/** Waits for the network; what a browser says about it is no help to anybody. */
async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("The server cannot be reached. Try again later.");
  }
}

/** Yields [name, data] of server-sent events as they come; data is JSON, or a string at the end. */
async function* events(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reached(reader.read());
    if (done) return;
    held += decoder.decode(value, { stream: true });
    const blocks = held.split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) yield [name, data === "[DONE]" ? data : JSON.parse(data)];
    }
  }
}

/** Posts and yields events; throws what the server says is wrong, or where it falls silent. */
async function* ask(path, init) {
  const response = await reached(fetch(path, { method: "POST", ...init }));
  if (!response.ok) throw await problem(response);
  let isWhole = false;
  for await (const [name, data] of events(response)) {
    if (data.error && (name === "error" || name === "message")) throw told(data.error);
    isWhole = name === "done" || data === "[DONE]";
    yield [name, data];
  }
  if (!isWhole) throw new Error("The server ended in the middle. Try again later.");
}

function asDataAddress(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
