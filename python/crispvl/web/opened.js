"use strict";
// The page as a file of its own: shows the document that it holds.

const held = JSON.parse(find("document").textContent);
const viewer = new Viewer();
viewer.list(held.pages.map((page) => page.number));
for (const page of held.pages) {
  const { number, image, width_px: width, height_px: height, grid } = page;
  viewer.begin({ number, image, width, height, grid });
  viewer.finish(page);
}
find("facts").textContent = facts(held);
find("copy").disabled = false;
new Downloads(
  Object.keys(held.files), () => ({ ...held, stem: stem(held.source) }), async (kind) => new Blob([held.files[kind]]),
);
