// The day as it goes: the stream is read for as long as the page is open. A server that is lost is asked again, ever more
// slowly, until it is back.

import { Away, Problem, complain, send } from "./client.mjs";
import { rest } from "./rest.mjs";
import { parser } from "./sse.mjs";

/** The server says at least every 15 s that it is there. */
const LONGEST_SILENCE_MS = 40_000;

/**
 * Follows until the returned function is called, or the token is refused.
 * @param {{ opened: () => void, event: (event: import("./sse.mjs").ServerEvent) => void, lost: (why: string) => void }} told
 */
export function follow(told) {
  const stop = new AbortController();
  run(told, stop.signal);
  return () => stop.abort();
}

async function run(told, stopped) {
  let attempt = 0;
  while (!stopped.aborted) {
    try {
      await read(stopped, told.opened, (event) => {
        attempt = 0;
        told.event(event);
      });
      throw new Away("the stream ended");
    } catch (error) {
      if (stopped.aborted || (error instanceof Problem && error.isRefusal)) return;
      complain(error);
      // A server that ended a good stream, as one that is restarted does, is asked again at once.
      if (attempt > 0 || !(error instanceof Away)) told.lost(error instanceof Problem ? error.message : "");
      await pause(attempt === 0 ? 0 : rest(attempt - 1, Math.random()), stopped);
      attempt += 1;
    }
  }
}

/** Reads one stream to its end. One that falls silent is given up. */
async function read(stopped, opened, told) {
  const silence = new AbortController();
  const signal = AbortSignal.any([stopped, silence.signal]);
  let timer = 0;
  const listening = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), LONGEST_SILENCE_MS);
  };
  try {
    listening();
    const response = await send("stream", { signal });
    opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parse = parser();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      listening();
      parse(value).forEach(told);
    }
  } finally {
    clearTimeout(timer);
  }
}

function pause(milliseconds, stopped) {
  return new Promise((over) => {
    const timer = setTimeout(over, milliseconds);
    stopped.addEventListener("abort", () => (clearTimeout(timer), over()), { once: true });
  });
}
