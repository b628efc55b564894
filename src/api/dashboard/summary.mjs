// How the day goes: the health with its reason, and the numbers that one looks at first.

import { byId, fill, write } from "./dom.mjs";
import { count, counted, duration, percent, share } from "./format.mjs";

let told = "";

/** @param {any} metrics the data of /api/warmup/metrics */
export function show({ system, cron, quotaStatus }) {
  const health = byId("health");
  health.dataset.health = system.systemHealth;
  write(byId("health-word"), system.systemHealth);
  write(byId("health-reason"), system.healthReason);
  say(system.systemHealth, system.healthReason);

  const failed = system.totalFailedToday + system.totalUncertainToday;
  const { queueSize, activeSends, isRunning } = cron.queueStatus;
  write(byId("sent"), count(system.totalSentToday));
  write(
    byId("sent-more"),
    `from ${counted(system.activeMailboxes, "mailbox", "mailboxes")} of ${count(system.totalMailboxes)}`,
  );
  write(byId("throughput"), `${count(system.throughputPerHour)}/h`);
  write(
    byId("throughput-more"),
    system.avgBatchDuration
      ? `in the last 60 minutes; a batch takes ${duration(system.avgBatchDuration)}`
      : "in the last 60 minutes",
  );
  write(byId("filled"), percent(system.quotaCompletionRate));
  fill(byId("filled-bar"), system.quotaCompletionRate);
  write(byId("filled-more"), `${count(quotaStatus.complete)} complete, ${count(quotaStatus.behind)} behind`);
  write(byId("failures"), percent(system.failureRate));
  write(byId("failures-more"), `${count(failed)} failed, of these ${count(system.totalUncertainToday)} uncertain`);
  write(byId("replied"), count(system.totalRepliedToday));
  write(byId("replied-more"), "answers to mails of the day");
  write(byId("active"), count(activeSends));
  write(byId("active-more"), `${count(queueSize)} waiting until the next tick`);
  write(byId("order"), order(cron.running, isRunning));
  byId("order").dataset.running = isRunning;
}

/** The reason changes with every mail; only a change of the word is told aloud. */
function say(health, reason) {
  if (health === told) return;
  told = health;
  write(byId("health-said"), `Health is ${health}: ${reason}`);
}

function order(running, isRunning) {
  if (!running) return "stopped by order";
  return isRunning ? "running" : "ordered to run, and no worker runs";
}

/** How near the caps are, as gauges. */
export function showCaps({ hourly, minute }) {
  gauge("hour", hourly);
  gauge("minute", minute);
}

function gauge(name, { used, limit }) {
  const part = share(used, limit);
  const meter = byId(`gauge-${name}`);
  meter.setAttribute("aria-valuenow", used);
  meter.setAttribute("aria-valuemax", limit);
  meter.setAttribute("aria-valuetext", `${count(used)} of ${count(limit)}`);
  meter.dataset.level = part >= 90 ? "full" : part >= 70 ? "high" : "fine";
  byId(`gauge-${name}-arc`).setAttribute("stroke-dasharray", `${part} 100`);
  write(byId(`gauge-${name}-part`), `${Math.round(part)} %`);
  write(byId(`gauge-${name}-used`), `${count(used)} of ${count(limit)}`);
}
