// The last batches, each in a sentence.

import { byId, el, keyed, write } from "./dom.mjs";
import { batch, duration, when } from "./format.mjs";

const SHOWN = 8;

/** @param {any[]} batches the batchHistory of the metrics, the newest first @param {string} now */
export function show(batches, now) {
  byId("batches-none").hidden = batches.length > 0;
  keyed(
    byId("batches-rows"),
    batches.slice(0, SHOWN),
    (one) => one.id,
    make,
    (row, one) => {
      write(row.querySelector(".words"), batch(one));
      const took = one.durationMs === null ? [] : [duration(one.durationMs)];
      write(row.querySelector(".more"), [when(one.startedAt, now), ...took, one.workerId].join(", "));
      row.dataset.failed = one.failed > 0;
    },
  );
}

const make = () => el("li", {}, el("span", { class: "words" }), el("span", { class: "more" }));
