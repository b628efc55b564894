// Settings that need attention: each with the arithmetic and the line to set.

import { byId, el, keyed, write } from "./dom.mjs";

/** @param {string[]} warnings of /api/warmup/control */
export function show(warnings) {
  const list = byId("warnings");
  list.hidden = warnings.length === 0;
  keyed(
    list,
    warnings,
    (warning) => warning,
    () => el("li"),
    (row, warning) => write(row, warning),
  );
}
