// The mailboxes against their quota, those behind first: filtered, searched, a page at a time.

import { ask } from "./client.mjs";
import { address, byId, el, fill, keyed, write } from "./dom.mjs";
import { count, hours } from "./format.mjs";
import { START, STANDINGS, walk } from "./walk.mjs";

const SIZE = 25;
const TYPED_MS = 250;

/** What is asked for; `places` are where the pages so far began. */
const asked = { standing: "all", search: "", places: [START] };
let counts = null;
let next = null;

/** @param {() => void} changed called when something else is asked for */
export function listen(changed) {
  const again = () => {
    asked.places = [START];
    changed();
  };
  byId("standings").addEventListener("change", (event) => {
    asked.standing = event.target.value;
    again();
  });
  let typing = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(typing);
    asked.search = event.target.value.trim();
    typing = setTimeout(again, TYPED_MS);
  });
  byId("page-next").addEventListener("click", () => {
    if (next) asked.places = [...asked.places, next];
    changed();
  });
  byId("page-back").addEventListener("click", () => {
    if (asked.places.length > 1) asked.places = asked.places.slice(0, -1);
    changed();
  });
}

/** Shows how many stand how. */
export function showCounts(quotaStatus) {
  counts = {
    behind: quotaStatus.behind,
    failing: quotaStatus.failing,
    "on-track": quotaStatus.onTrack,
    complete: quotaStatus.complete,
  };
  write(byId("count-all"), count(total("all")));
  for (const standing of STANDINGS) write(byId(`count-${standing}`), count(counts[standing]));
}

/** Reads the page that is asked for, and shows it. */
export async function refresh() {
  const { standing, search, places } = { ...asked };
  const read = async (standing, limit, cursor) => {
    if (!search && counts?.[standing] === 0) return { quotas: [], nextCursor: null };
    const query = new URLSearchParams({ status: standing, limit });
    if (search) query.set("search", search);
    if (cursor) query.set("cursor", cursor);
    return ask(`quota?${query}`);
  };
  const standings = standing === "all" ? STANDINGS : [standing];
  const page = await walk(read, standings, places[places.length - 1], SIZE);
  if (standing !== asked.standing || search !== asked.search || places !== asked.places) return;
  const all = search ? null : total(standing);
  const first = (places.length - 1) * SIZE + 1;
  const last = first + page.rows.length - 1;
  next = last === all ? null : page.next;
  show(page.rows);
  write(byId("page-words"), page.rows.length === 0 ? "No mailbox is so." : range(first, last, all));
  // One that has the focus stays: a page that is the last one now may not be so in a moment.
  byId("page-back").setAttribute("aria-disabled", String(places.length === 1));
  byId("page-next").setAttribute("aria-disabled", String(!next));
}

/** How many there are, as far as they are known. */
function total(standing) {
  if (!counts) return null;
  return standing === "all" ? STANDINGS.reduce((sum, one) => sum + counts[one], 0) : counts[standing];
}

const range = (first, last, all) => `${count(first)} to ${count(last)}${all === null ? "" : ` of ${count(all)}`}`;

const show = (rows) => keyed(byId("mailboxes-rows"), rows, (row) => row.mailboxId, make, update);

function make({ mailboxId, email }) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("a", { href: `#/mailbox/${mailboxId}` }, ...address(email))),
    el("td", { class: "quota" }, el("span", { class: "amount" }), el("span", { class: "bar", "aria-hidden": "true" })),
    el("td", {}, el("span", { class: "badge" })),
    el("td", { class: "number wide" }),
    el("td", { class: "number wide" }),
  );
}

function update(row, { dailyQuota, sentToday, percentComplete, status, remaining, hoursRemaining }) {
  const [, quota, standing, left, time] = row.cells;
  write(quota.firstChild, `${sentToday} of ${dailyQuota}`);
  fill(quota.lastChild, percentComplete);
  quota.lastChild.dataset.standing = status;
  write(standing.firstChild, status.replace("-", " "));
  standing.firstChild.dataset.standing = status;
  write(left, count(remaining));
  write(time, hours(hoursRemaining));
}
