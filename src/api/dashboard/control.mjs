// Orders to the whole fleet, each confirmed first. Only admins have these buttons.

import { Away, ask } from "./client.mjs";
import { confirm } from "./dialog.mjs";
import { byId, write } from "./dom.mjs";

const ORDERS = {
  start: {
    title: "Start the fleet?",
    text: "All workers send again what their mailboxes owe by now.",
    action: "Start",
    done: "The fleet was started.",
  },
  stop: {
    title: "Stop the fleet?",
    text: "Mails that are on their way are finished. No new one is started until the fleet is started again.",
    action: "Stop",
    grave: true,
    done: "The fleet was stopped.",
  },
  trigger: {
    title: "Plan now?",
    text: "All workers plan at once, without waiting for the next tick. Quotas and caps hold as ever.",
    action: "Plan now",
    done: "All workers plan now.",
  },
};

/** @param {() => void} changed called when an order was given */
export function listen(changed) {
  for (const [action, question] of Object.entries(ORDERS)) {
    byId(`order-${action}`).addEventListener("click", () => give(action, question, changed));
  }
}

/** Shows which orders there are to give. */
export function show(running) {
  byId("order-start").disabled = running;
  byId("order-stop").disabled = !running;
  byId("order-trigger").disabled = !running;
}

async function give(action, question, changed) {
  const { confirmed } = await confirm(question);
  if (!confirmed) return;
  const said = await ask("control", { method: "POST", body: { action } }).then(told(question.done), refused);
  write(byId("order-said"), said);
  changed();
}

/** A worker that hears nothing obeys a little later. */
const told = (done) => (given) =>
  given.announced ? done : `${done} Workers can't be told now: they obey at their next heartbeat.`;

const refused = (error) => (error instanceof Away ? "The server does not answer: nothing was ordered." : error.message);
