// Sent today against the curve that the plan expects.

import { byId, el, svg, write } from "./dom.mjs";
import { count } from "./format.mjs";
import { area, hours, line, linear, ticks, valueAt } from "./scale.mjs";

const HEIGHT = 230;
const LEFT = 48;
const RIGHT = 22;
const TOP = 12;
const BOTTOM = 26;

let shown = null;

/** @param {any} day the data of /api/warmup/day */
export function show(day) {
  shown = day;
  const difference = day.sentByNow - day.plannedByNow;
  const words =
    difference < 0
      ? `${count(-difference)} behind it`
      : difference > 0
        ? `${count(difference)} ahead of it`
        : "just so";
  write(
    byId("day-words"),
    `${count(day.sentByNow)} sent, ${count(day.plannedByNow)} planned by now: ${words}. ${count(day.quota)} are owed today.`,
  );
  draw();
  tabulate(day);
}

/** Draws anew when the page's width changes. */
export function watch() {
  new ResizeObserver(draw).observe(byId("day-chart"));
}

function draw() {
  const place = byId("day-chart");
  const width = place.clientWidth;
  if (!shown || width === 0) return;
  const [planned, sent] = [points(shown.planned), points(shown.sent)];
  const all = [...planned, ...sent];
  if (all.length === 0) return place.replaceChildren();
  const instants = all.map(([at]) => at);
  const [from, to] = [Math.min(...instants), Math.max(...instants)];
  const marks = ticks(Math.max(shown.quota, shown.sentByNow));
  const x = linear(from, to, LEFT, width - RIGHT);
  const y = linear(0, marks[marks.length - 1], HEIGHT - BOTTOM, TOP);
  const onPaper = (line) => line.map(([at, mails]) => [x(at), y(mails)]);
  const now = sent[sent.length - 1];
  place.replaceChildren(
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" },
      ...marks.map((mark) => grid(y(mark), width, count(mark))),
      ...hours(from, to, Math.max(2, Math.floor((width - LEFT) / 58))).map((at) => hour(x(at), at)),
      svg("path", { class: "sent-area", d: area(onPaper(sent), y(0)) }),
      svg("path", { class: "planned-line", d: line(onPaper(planned)) }),
      svg("path", { class: "sent-line", d: line(onPaper(sent)) }),
      svg("line", { class: "now-line", x1: x(now[0]), x2: x(now[0]), y1: TOP, y2: HEIGHT - BOTTOM }),
      svg("circle", { class: "now-dot", cx: x(now[0]), cy: y(now[1]), r: 4 }),
    ),
  );
}

const points = (line) => line.map(({ at, mails }) => [Date.parse(at), mails]);

function grid(y, width, text) {
  return svg(
    "g",
    { class: "grid" },
    svg("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
    svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, text),
  );
}

function hour(x, at) {
  return svg("text", { class: "hour", x, y: HEIGHT - 8, "text-anchor": "middle" }, clock(at));
}

const clock = (at) => new Date(at).toISOString().slice(11, 16);

/** The same in words, for whoever can't see the drawing. */
function tabulate({ planned, sent }) {
  const [plan, went] = [points(planned), points(sent)];
  const body = byId("day-rows");
  if (plan.length === 0) return body.replaceChildren();
  const now = went[went.length - 1][0];
  const row = (at) => {
    const reached = at <= now ? count(Math.round(valueAt(went, at))) : "–";
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, clock(at)),
      el("td", {}, count(Math.round(valueAt(plan, at)))),
      el("td", {}, reached),
    );
  };
  body.replaceChildren(...hours(plan[0][0], plan[plan.length - 1][0], 24).map(row));
}
