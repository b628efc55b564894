// A question before something is done. The browser's own dialog keeps the focus inside and gives it back.

import { byId, el, write } from "./dom.mjs";

/**
 * Asks, and returns whether it was confirmed, and what was written into the field, if there is one.
 * @param {{ title: string, text: string, action: string, grave?: boolean, field?: string }} question
 * @returns {Promise<{ confirmed: boolean, written: string }>}
 */
export function confirm({ title, text, action, grave = false, field }) {
  const dialog = byId("dialog");
  const [heading, words] = [byId("dialog-title"), byId("dialog-text")];
  write(heading, title);
  write(words, text);
  const input = field && el("input", { type: "text", id: "dialog-input", maxlength: 200, autocomplete: "off" });
  const yes = el("button", { type: "submit", class: grave ? "grave" : "main" }, action);
  const no = el("button", { type: "button" }, "Cancel");
  const form = el("form", {}, el("div", { class: "buttons" }, no, yes));
  if (input) form.prepend(el("label", { for: "dialog-input" }, field), input);
  byId("dialog-form").replaceChildren(form);
  return new Promise((answer) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close("yes");
    });
    no.addEventListener("click", () => dialog.close(""));
    dialog.addEventListener(
      "close",
      () => answer({ confirmed: dialog.returnValue === "yes", written: input ? input.value.trim() : "" }),
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
    (input || no).focus();
  });
}
