// The page: who looks, what is shown, and how it stays true. Every number comes from the API, every time from the server's
// clock; the stream of events says when something has changed.

import { forget, takeOver, token } from "./token.mjs";
import * as batches from "./batches.mjs";
import * as chart from "./chart.mjs";
import * as client from "./client.mjs";
import * as control from "./control.mjs";
import { byId, write } from "./dom.mjs";
import * as events from "./events.mjs";
import { follow } from "./follow.mjs";
import { count, date, time } from "./format.mjs";
import * as login from "./login.mjs";
import * as mailbox from "./mailbox.mjs";
import * as mailboxes from "./mailboxes.mjs";
import { paced } from "./paced.mjs";
import * as summary from "./summary.mjs";
import * as warnings from "./warnings.mjs";
import * as workers from "./workers.mjs";

/** At most so often each part is read again, however much happens; and so often although nothing does. */
const GAP_MS = 1500;
const QUIET_MS = 10_000;

/** The server's time when it was heard last. */
let now = "";
/** Whom the token speaks for. */
let me = null;
/** The day's numbers, as they were told last. */
let day = null;
/** Which of the page's views is shown: login, overview or mailbox. */
let view = "";
let leave = () => {};

const parts = {
  overview: [
    async () => chart.show(await client.ask("day")),
    () => me && showControl(),
    () => mailboxes.refresh(),
    () => events.refresh(now),
  ],
  mailbox: [() => mailbox.refresh(() => now)],
};
const soon = Object.fromEntries(
  Object.entries(parts).map(([name, works]) => [name, works.map((work) => paced(seen(name, work), GAP_MS))]),
);

async function showControl() {
  const status = await client.ask("control");
  warnings.show(status.warnings);
  if (me?.isAdmin) workers.show(status, now);
}

/** Nothing is read for a view that nobody sees. */
function seen(name, work) {
  return async () => {
    if (view === name && !document.hidden) await work();
  };
}

const refresh = () => soon[view]?.forEach((part) => part());
const readNow = () => parts[view]?.forEach((part) => part().catch(client.complain));

function enter() {
  leave();
  if (!token()) return ask("");
  link("connecting");
  leave = follow({ opened, event, lost: (why) => link("lost", why) });
  turn();
}

/** Asks for a token, and says why. */
function ask(reason) {
  leave();
  [me, day] = [null, null];
  show("login");
  link("out");
  login.refuse(reason);
}

function refused(problem) {
  forget();
  ask(`The token was refused: ${problem.message}.`);
}

/** Somebody else's token may be in use now. */
async function opened() {
  me = await client.ask("me").catch(client.complain);
  if (!me) return;
  write(byId("who"), me.isAdmin ? `${me.name} (admin)` : me.name);
  for (const element of document.querySelectorAll(".admins")) element.hidden = !me.isAdmin;
  write(byId("caps-title"), me.isAdmin ? "Caps of the fleet" : "Your caps");
  refresh();
}

function event({ event, data, id }) {
  heard(id);
  if (event === "problem") return link("blind", JSON.parse(data).detail);
  if (event !== "metrics") return;
  link("live");
  day = JSON.parse(data);
  summary.show(day);
  summary.showCaps(day.cron.queueStatus.rateLimit);
  control.show(day.cron.running);
  mailboxes.showCounts(day.quotaStatus);
  batches.show(day.batchHistory, now);
  entitle();
  refresh();
}

/** A tab that nobody looks at tells how things are by its title. */
function entitle() {
  if (view === "mailbox") return;
  const isKnown = view === "overview" && day !== null;
  document.title = isKnown ? `${day.system.systemHealth}, ${count(day.system.totalSentToday)} sent – warmup` : "warmup";
}

function heard(instant) {
  if (!instant) return;
  now = instant;
  write(byId("now"), `${time(now)} UTC`);
  write(byId("date"), date(now));
}

const WORDS = { out: "", connecting: "connecting", live: "live", lost: "lost", blind: "can’t tell" };

/** Shows whether what is on the page is true now. */
function link(state, why = "") {
  const since = now ? ` since ${time(now)} UTC` : "";
  const banner = {
    lost: `No answer from the server${since}. ${why ? `It said: ${why}. ` : ""}What is shown is what was known then; the page goes on by itself when the server is back.`,
    blind: `The server can’t tell how things are${since}: ${why}. What is shown is what was known before.`,
  };
  const changed = document.body.dataset.link !== state;
  document.body.dataset.link = state;
  write(byId("link"), WORDS[state]);
  byId("banner").hidden = !(state in banner);
  // The time that it is lost since stands still; so the words do.
  if (changed) write(byId("banner"), banner[state] ?? "");
  if (changed && state === "lost") document.title = "lost – warmup";
}

function show(name) {
  view = name;
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
  byId("session").hidden = name === "login";
  entitle();
}

/** Follows the address: a token, a mailbox, or the overview. */
function route() {
  if (takeOver()) return enter();
  if (!token()) return ask("");
  turn();
  readNow();
}

/** Shows the view that the address names. What it shows is read when the stream is open: a wrong token is sent only once. */
function turn() {
  const found = /^#\/mailbox\/(\d+)$/.exec(location.hash);
  const before = view;
  show(found ? "mailbox" : "overview");
  if (found) mailbox.open(Number(found[1]));
  if (found) byId("mailbox-email").focus();
  else if (before === "mailbox") byId("overview-title").focus();
}

client.listen(heard, refused);
login.listen(enter);
control.listen(readNow);
mailboxes.listen(() => mailboxes.refresh().catch(client.complain));
mailbox.listen(readNow);
chart.watch();
byId("leave").addEventListener("click", () => {
  forget();
  ask("");
});
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", refresh);
setInterval(() => document.body.dataset.link === "live" && refresh(), QUIET_MS);
enter();
