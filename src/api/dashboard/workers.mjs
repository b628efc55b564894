// The workers with their shards, and who leads.

import { byId, el, keyed, write } from "./dom.mjs";
import { count, counted, when } from "./format.mjs";

/** @param {any} control the data of /api/warmup/control @param {string} now */
export function show({ workers, leader }, now) {
  const shards = workers.reduce((sum, worker) => sum + worker.shards, 0);
  const words =
    workers.length === 0
      ? "No worker runs."
      : `${counted(workers.length, "worker", "workers")}, ${counted(shards, "shard", "shards")}`;
  write(byId("workers-words"), words);
  keyed(
    byId("workers-rows"),
    workers,
    (worker) => worker.id,
    make,
    (row, worker) => {
      const [name, state, held, lanes, queue, tick] = row.cells;
      write(name.querySelector(".name"), worker.id);
      name.querySelector(".leader").hidden = worker.id !== leader;
      write(state.firstChild, worker.state);
      state.firstChild.dataset.state = worker.state;
      write(held, count(worker.shards));
      write(lanes, `${worker.activeSends} / ${worker.lanes}`);
      write(queue, count(worker.queueSize));
      const failures = worker.consecutiveFailures
        ? `, ${counted(worker.consecutiveFailures, "tick", "ticks")} failed`
        : "";
      write(tick, when(worker.lastTick, now) + failures);
    },
  );
}

function make() {
  const name = el(
    "th",
    { scope: "row" },
    el("span", { class: "name" }),
    " ",
    el("span", { class: "leader badge" }, "leader"),
  );
  const cell = (wide) => el("td", { class: wide ? "number wide" : "number" });
  return el("tr", {}, name, el("td", {}, el("span", { class: "badge" })), cell(), cell(), cell(true), cell(true));
}
