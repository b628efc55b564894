// Log in with a token, where the page has none, or one that was refused.

import { byId, write } from "./dom.mjs";
import { remember } from "./token.mjs";

/** Lets whoever looks log in, and then calls `done`. @param {() => void} done */
export function listen(done) {
  byId("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = byId("token");
    if (input.value.trim() === "") return refuse("Write a token: `warmup token create` makes one.");
    remember(input.value);
    input.value = "";
    done();
  });
}

/** Shows why the token before did not do. An empty reason shows none. */
export function refuse(reason) {
  write(byId("login-error"), reason);
  byId("token").setAttribute("aria-invalid", String(reason !== ""));
  byId("token").focus();
}
