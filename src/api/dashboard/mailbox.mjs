// One mailbox: how it stands and why, its last days, what it sent, what happened to it.

import { Away, ask, complain } from "./client.mjs";
import { confirm } from "./dialog.mjs";
import { byId, el, fill, keyed, write } from "./dom.mjs";
import * as events from "./events.mjs";
import { count, counted, date, duration, percent, share, weekdays, when } from "./format.mjs";

const SIZE = 20;

/** The mailbox that is shown, and where the pages of its log so far began. */
let id = null;
let places = [null];
let nextPlace = null;

export function listen(changed) {
  byId("mailbox-pause").addEventListener("click", () => order("pause", changed));
  byId("mailbox-resume").addEventListener("click", () => order("resume", changed));
  byId("mailbox-test").addEventListener("click", test);
  byId("mailbox-code").addEventListener("click", sendCode);
  byId("mailbox-enter").addEventListener("click", () => enterCode(changed));
  byId("log-older").addEventListener("click", () => {
    if (nextPlace) places.push(nextPlace);
    changed();
  });
  byId("log-newer").addEventListener("click", () => {
    if (places.length > 1) places.pop();
    changed();
  });
}

/** Turns to the mailbox with this id. Nothing of the one before stays. */
export function open(mailbox) {
  [id, places, nextPlace] = [mailbox, [null], null];
  write(byId("mailbox-email"), `Mailbox ${mailbox}`);
  for (const name of ["standing", "because", "advice", "facts", "said", "missing"])
    byId(`mailbox-${name}`).replaceChildren();
  for (const name of ["days-rows", "log-rows", "mailbox-events"]) byId(name).replaceChildren();
  byId("test-steps").replaceChildren();
}

/** Reads the mailbox and shows it. @param {() => string} now the server's time */
export async function refresh(now) {
  const asked = id;
  const place = places[places.length - 1];
  try {
    const [detail, performance, log, happened] = await Promise.all([
      ask(`mailboxes/${asked}`),
      // One that was removed has no performance.
      ask(`mailbox?id=${asked}`).catch(() => null),
      ask(`logs?mailbox=${asked}&limit=${SIZE}${place ? `&cursor=${encodeURIComponent(place)}` : ""}`),
      events.read(`&mailbox=${asked}`),
    ]);
    if (asked !== id || place !== places[places.length - 1]) return;
    byId("mailbox-whole").hidden = false;
    showStanding(detail, now());
    showFacts(detail, performance, now());
    showDays(detail.lastDays);
    showLog(log, now());
    events.show(byId("mailbox-events"), happened, now());
  } catch (error) {
    complain(error);
    if (asked !== id || error.status !== 404) return;
    byId("mailbox-whole").hidden = true;
    write(byId("mailbox-missing"), error.message);
  }
}

function showStanding(detail, now) {
  write(byId("mailbox-email"), detail.email);
  write(byId("mailbox-name"), detail.displayName);
  document.title = `${detail.email} – warmup`;
  const standing = byId("mailbox-standing");
  standing.dataset.state = detail.state;
  const until = detail.until ? `, until ${when(detail.until, now)}` : "";
  write(standing, detail.reason ? `${detail.state}: ${detail.reason}${until}` : detail.state);
  write(byId("mailbox-because"), sends(detail, now));
  write(byId("mailbox-advice"), detail.advice ? `What to do: ${detail.advice}` : "");
  byId("mailbox-pause").hidden = !["active", "off"].includes(detail.state);
  byId("mailbox-resume").hidden = !["paused", "disabled"].includes(detail.state) && detail.receives;
  byId("mailbox-test").hidden = detail.state === "removed";
  for (const button of ["mailbox-code", "mailbox-enter"]) {
    byId(button).hidden = Boolean(detail.verifiedBy) || detail.state === "removed";
  }
}

function sends({ inFlight, sendsNextAt, because }, now) {
  if (inFlight) return "A mail is on its way.";
  if (!sendsNextAt) return `It does not send: ${because}.`;
  return sendsNextAt <= now ? `It sends now: ${because}.` : `It sends next at ${when(sendsNextAt, now)}: ${because}.`;
}

const receives = ({ receives, receiveReason, verifiedBy }) => {
  if (!receives) return `no: ${receiveReason ?? "not now"}`;
  return verifiedBy ? "yes" : "from its owner’s mailboxes only: it is not verified";
};

function rowOf(refusals, failures) {
  if (failures > Math.max(refusals, 1)) return ` (${failures} failures in a row)`;
  return refusals > 1 ? ` (${refusals} refusals in a row)` : "";
}

/** The later one of the last mail that was sent and the last one that failed. */
function lastResult({ lastSentAt, lastRefusal }, now) {
  if (lastRefusal && (!lastSentAt || lastSentAt <= lastRefusal.at)) {
    const { at, reason, text, inARow, failuresInARow } = lastRefusal;
    const words = [reason, text].filter(Boolean).join(", ");
    return `${when(at, now)}: ${words}${rowOf(inARow, failuresInARow)}`;
  }
  return lastSentAt ? `${when(lastSentAt, now)}: sent` : "none yet";
}

function showFacts(detail, performance, now) {
  const left = Math.max(0, detail.left);
  const facts = [
    ["Today", `${detail.sent} of ${detail.quota} sent, ${left} left, ${detail.plannedByNow} planned by now`],
    ["Window", `${detail.window} ${detail.timezone}, ${weekdays(detail.days)}`],
    ["Ramp", `${detail.rampStart} + ${detail.daysGrown} × ${detail.rampStep}, up to ${detail.dailyMax}`],
    ["Receives", receives(detail)],
    ["Replies", `${percent(detail.replyRate)} of its mails are answered; it owes ${detail.repliesOwed}`],
    ["Sends by", `${detail.smtp} as ${detail.username}`],
    ["Owner", detail.user],
    ["Last mail", when(detail.lastSentAt, now)],
    ["Last result", lastResult(detail, now)],
  ];
  if (performance) {
    const { totalSent, totalFailed, avgSendTimeMs, currentStreak } = performance.metrics;
    const taken = avgSendTimeMs === null ? "" : `, ${duration(avgSendTimeMs)} each`;
    facts.push(["All its days", `${count(totalSent)} sent, ${count(totalFailed)} failed${taken}`]);
    facts.push(["Streak", counted(currentStreak, "day", "days") + " with the whole quota"]);
  }
  const make = ([name]) => el("div", {}, el("dt", {}, name), el("dd"));
  keyed(
    byId("mailbox-facts"),
    facts,
    ([name]) => name,
    make,
    (row, [, words]) => write(row.lastChild, words),
  );
}

function showDays(days) {
  const make = () => {
    const cells = ["sent", "number", "number", "number wide", "wide"].map((kind) => el("td", { class: kind }));
    cells[0].append(el("span", { class: "amount" }), el("span", { class: "bar", "aria-hidden": "true" }));
    cells[0].className = "quota";
    return el("tr", {}, el("th", { scope: "row" }), ...cells);
  };
  keyed(
    byId("days-rows"),
    days,
    (day) => day.day,
    make,
    (row, day) => {
      const [name, sent, failed, uncertain, replied, reason] = row.cells;
      write(name, date(day.day));
      write(sent.firstChild, `${day.sent} of ${day.quota}`);
      fill(sent.lastChild, share(day.sent, day.quota));
      sent.lastChild.dataset.standing = day.sent >= day.quota ? "complete" : "on-track";
      write(failed, count(day.failed));
      write(uncertain, count(day.uncertain));
      write(replied, count(day.replied));
      write(reason, day.reason ?? "");
    },
  );
}

function showLog({ logs, nextCursor }, now) {
  nextPlace = nextCursor;
  byId("log-none").hidden = logs.length > 0;
  byId("log-newer").setAttribute("aria-disabled", String(places.length === 1));
  byId("log-older").setAttribute("aria-disabled", String(!nextCursor));
  const make = () =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }),
      el("td"),
      el("td", {}, el("span", { class: "badge" })),
      el("td", { class: "wide" }),
    );
  keyed(
    byId("log-rows"),
    logs,
    (row) => row.id,
    make,
    (row, entry) => {
      const [at, recipient, status, subject] = row.cells;
      write(at, when(entry.at, now));
      write(recipient, entry.recipient ?? "somebody else’s");
      write(status.firstChild, entry.reason ? `${entry.status} ${entry.reason}` : entry.status);
      status.firstChild.dataset.status = entry.status;
      write(subject, entry.subject);
    },
  );
}

async function order(what, changed) {
  const email = byId("mailbox-email").textContent;
  const question =
    what === "pause"
      ? {
          title: `Pause ${email}?`,
          text: "It neither sends nor receives until it is resumed. A mail that is on its way is finished.",
          action: "Pause",
          field: "Reason (may be left out)",
          grave: true,
        }
      : { title: `Resume ${email}?`, text: "It sends and receives again, whatever stopped it.", action: "Resume" };
  const { confirmed, written } = await confirm(question);
  if (!confirmed) return;
  const body = written ? { reason: written } : undefined;
  const said = what === "pause" ? () => "It was paused." : resumed;
  write(byId("mailbox-said"), await ask(`mailboxes/${id}/${what}`, { method: "POST", body }).then(said).catch(refused));
  changed();
  byId("mailbox-email").focus();
}

/** Says what still holds a mailbox that was resumed, and offers to end it. */
async function resumed({ stillHeld }) {
  const words = ["It was resumed."];
  for (const { scope, key, user, reason, until } of stillHeld) {
    const name = scope === "host" ? "Mail host" : "Domain";
    const whose = user ? ` for ${user}` : "";
    const paused = `${name} ${key} is paused${whose} until ${when(until)} UTC (${reason}).`;
    const question = { title: `End the pause of ${key}?`, text: paused, action: "End the pause" };
    const { confirmed } = await confirm(question);
    const query = [["scope", scope], ["key", key], ...(user ? [["user", user]] : [])];
    const path = `pauses?${new URLSearchParams(query)}`;
    const ended = () => `The pause of ${key} was ended.`;
    words.push(confirmed ? await ask(path, { method: "DELETE" }).then(ended, refused) : paused);
  }
  return words.join(" ");
}

async function sendCode() {
  const verified = id;
  write(byId("mailbox-said"), "A code is being sent to it.");
  const sent = ({ email, outcome, expiresAt }) => {
    const what = outcome === "sent" ? "A code was sent to" : "A code may have been sent to";
    return `${what} ${email}: enter it before ${when(expiresAt)} UTC.`;
  };
  const said = await ask(`mailboxes/${id}/verification`, { method: "POST" }).then(sent, refused);
  if (verified === id) write(byId("mailbox-said"), said);
}

async function enterCode(changed) {
  const email = byId("mailbox-email").textContent;
  const text = "Enter the code that it received: it then receives from other owners too.";
  const { confirmed, written } = await confirm({ title: `Verify ${email}?`, text, action: "Verify", field: "Code" });
  if (!confirmed) return;
  const path = `mailboxes/${id}/verification`;
  const verified = () => "It is verified.";
  write(
    byId("mailbox-said"),
    await ask(path, { method: "PUT", body: { code: written ?? "" } }).then(verified).catch(refused),
  );
  changed();
  byId("mailbox-email").focus();
}

async function test() {
  const tested = id;
  byId("test-steps").replaceChildren();
  write(byId("mailbox-said"), "It is being tried out: TLS, login, and as far as RCPT to itself. No mail is sent.");
  const checked = await ask(`mailboxes/${id}/test`, { method: "POST" }).catch((error) => ({
    steps: [],
    said: refused(error),
  }));
  if (tested !== id) return;
  const { ok, steps, fault, said } = checked;
  write(byId("mailbox-said"), said ?? (ok ? "It can send." : `It can’t send: ${fault.reason} at ${fault.stage}.`));
  const step = ({ step, code, text, ms }) =>
    el("li", {}, [step, code, text].filter(Boolean).join(" "), ` (${duration(ms)})`);
  const last = fault
    ? [
        el(
          "li",
          { class: "fault" },
          `${fault.stage}: ${fault.text}${fault.advice ? `. What to do: ${fault.advice}` : ""}`,
        ),
      ]
    : [];
  byId("test-steps").replaceChildren(...steps.map(step), ...last);
}

const refused = (error) => (error instanceof Away ? "The server does not answer: nothing was done." : error.message);
