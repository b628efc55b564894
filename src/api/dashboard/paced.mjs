// Work that follows the stream of events without being done at each of them.

import { complain } from "./client.mjs";

/**
 * Returns a function that lets `work` be done soon: never twice at once, and at most once in `gap` milliseconds.
 * @param {() => Promise<void>} work
 * @param {number} gap
 */
export function paced(work, gap) {
  let [last, waiting, busy, again] = [-Infinity, 0, false, false];
  async function go() {
    [waiting, last, busy] = [0, performance.now(), true];
    await work().catch(complain);
    busy = false;
    if (again) {
      again = false;
      soon();
    }
  }
  function soon() {
    if (busy) again = true;
    else if (!waiting) waiting = setTimeout(go, Math.max(0, last + gap - performance.now()));
  }
  return soon;
}
