// The token of whoever looks: kept for this tab alone, gone when it is closed. This module stands first in app.mjs, so that
// a token in the address is taken over and erased before anything else is done.

const KEY = "warmup.token";

/** Takes a token over from `#token=…` and erases it from the address and from the history. Says whether there was one. */
export function takeOver() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return false;
  history.replaceState(null, "", location.pathname);
  remember(decoded(found[1]));
  return true;
}

export const token = () => sessionStorage.getItem(KEY);

/** @param {string} text */
export const remember = (text) => sessionStorage.setItem(KEY, text.trim());

export const forget = () => sessionStorage.removeItem(KEY);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

takeOver();
