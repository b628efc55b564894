// What happened, in words: why did this mailbox stop?

import { ask } from "./client.mjs";
import { byId, el, keyed, write } from "./dom.mjs";
import { when } from "./format.mjs";

const SHOWN = 12;

/** What an operator has to look at. */
const GRAVE = /disabled|excluded|alert|short|lost|failed|behind|failing/;

export async function refresh(now) {
  const events = await read("");
  byId("events-none").hidden = events.length > 0;
  show(byId("events-rows"), events, now);
}

/** Reads the newest events. @param {string} filter further parameters, such as `&mailbox=1` */
export async function read(filter) {
  return (await ask(`events?limit=${SHOWN}${filter}`)).events;
}

/** Shows events, in their order. @param {Element} parent @param {any[]} events */
export function show(parent, events, now) {
  keyed(
    parent,
    events,
    (event) => event.id,
    make,
    (row, event) => {
      row.dataset.grave = GRAVE.test(event.kind);
      write(row.querySelector("time"), when(event.at, now));
      row.querySelector("time").dateTime = event.at;
      write(row.querySelector(".words"), event.text);
    },
  );
}

const make = () => el("li", {}, el("time"), el("span", { class: "words" }));
