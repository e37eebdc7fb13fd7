"use strict";
// Requests to the server, and the events that come back.

/** What went wrong, in the server's words. */
async function problem(response) {
  try {
    return new Error((await response.json()).error.message);
  } catch {
    return new Error(`The server answered ${response.status}.`);
  }
}

/** Yields [name, data] of server-sent events as they come; data is JSON, or a string at the end. */
async function* events(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
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

/** Posts and yields events; throws what the server says is wrong. */
async function* ask(path, init) {
  const response = await fetch(path, { method: "POST", ...init });
  if (!response.ok) throw await problem(response);
  for await (const [name, data] of events(response)) {
    if (data.error && (name === "error" || name === "message")) throw new Error(data.error.message);
    yield [name, data];
  }
}

function asDataAddress(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
