// Work that follows the stream of events without being done at each of them.

import { complain } from "./client.mjs";

/** A page leaves the server alone for so many times as long as its answer took. */
const EASE = 20;

/**
 * Returns a function that lets `work` be done soon: never twice at once, and at most once in `least` milliseconds; less
 * often where the server has much to do for it.
 * @param {() => Promise<void>} work
 * @param {number} least
 */
export function paced(work, least) {
  let [last, gap, waiting, busy, again] = [-Infinity, least, 0, false, false];
  async function go() {
    [waiting, last, busy] = [0, performance.now(), true];
    await work().catch(complain);
    gap = Math.max(least, EASE * (performance.now() - last));
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
