"use strict";
// The password of a locked document, which goes no further than the requests about it.

/** Asks for a password; resolves to null where none is given. */
function askPassword(name, wasWrong) {
  const [dialog, field] = [find("locked"), find("password")];
  find("locked-name").textContent = name;
  find("wrong").hidden = !wasWrong;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
  });
}

find("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  find("locked").close(find("password").value);
});
find("keep-locked").addEventListener("click", () => find("locked").close(""));
