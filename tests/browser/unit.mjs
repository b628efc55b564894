// What needs no page.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../src/api/dashboard/format.mjs";
import { rest } from "../../src/api/dashboard/rest.mjs";
import * as scale from "../../src/api/dashboard/scale.mjs";
import { parser } from "../../src/api/dashboard/sse.mjs";
import { START, walk } from "../../src/api/dashboard/walk.mjs";

const STREAM =
  ': there\n\nid: 2026-11-24T10:30:00Z\nevent: metrics\ndata: {"a":\ndata: 1}\n\nevent: problem\r\ndata:x\r\n\r\ndata: last\rid\r\r';

const EVENTS = [
  { event: "metrics", data: '{"a":\n1}', id: "2026-11-24T10:30:00Z" },
  { event: "problem", data: "x", id: "2026-11-24T10:30:00Z" },
  { event: "message", data: "last", id: "" },
];

test("events are read however the stream is cut", () => {
  // A line end may be cut in its middle, and the last one is complete only when more comes.
  const whole = `${STREAM}:\n`;
  for (let size = 1; size <= whole.length; size += 1) {
    const parse = parser();
    const events = [];
    for (let at = 0; at < whole.length; at += size) events.push(...parse(whole.slice(at, at + size)));
    assert.deepEqual(events, EVENTS, `in pieces of ${size}`);
  }
});

test("an event is told when it is whole, and not before", () => {
  const parse = parser();
  assert.deepEqual(parse("\uFEFFdata: one\n"), []);
  assert.deepEqual(parse("\n"), [{ event: "message", data: "one", id: "" }]);
  assert.deepEqual(parse("event: nothing\n\n: comment\nunknown: field\ndata\n\n"), [
    { event: "message", data: "", id: "" },
  ]);
});

test("a batch is a sentence that rounds nothing up", () => {
  const batch = { id: 1, processed: 48, sent: 46, failed: 2, successRate: 95.83 };
  assert.equal(format.batch(batch), "Batch #1: 48 processed, 46 sent, 2 failed (95 %)");
  assert.equal(format.batch({ ...batch, durationMs: null }), "Batch #1: 48 under way");
});

test("numbers and times are written as people read them", () => {
  assert.equal(format.count(1440), "1,440");
  assert.equal(format.percent(95.83), "95.8 %");
  assert.equal(format.percent(100), "100 %");
  assert.equal(format.counted(1, "worker", "workers"), "1 worker");
  assert.equal(format.time("2026-11-24T10:30:05.123Z"), "10:30:05");
  assert.equal(format.when("2026-11-24T10:30:05Z", "2026-11-24T11:00:00Z"), "10:30");
  assert.equal(format.when("2026-11-04T10:30:05Z", "2026-11-24T11:00:00Z"), "4 Nov, 10:30");
  assert.equal(format.when(null, "2026-11-24T11:00:00Z"), "never");
  assert.deepEqual([340, 30000, 1500, 95000, 120000].map(format.duration), [
    "340 ms",
    "30 s",
    "1.5 s",
    "1 min 35 s",
    "2 min",
  ]);
  assert.deepEqual([6.5, 0.25, 8, 0].map(format.hours), ["6 h 30 min", "15 min", "8 h", "0 min"]);
  assert.deepEqual([format.share(1, 0), format.share(3, 2), format.share(1, 4)], [0, 100, 25]);
  assert.deepEqual(["mon,tue", "mon,tue,wed,thu,fri,sat,sun"].map(format.weekdays), ["mon, tue", "every day"]);
});

test("a chart's marks are round and hold the most", () => {
  assert.deepEqual(scale.ticks(1440), [0, 500, 1000, 1500]);
  assert.deepEqual(scale.ticks(0), [0, 1]);
  assert.deepEqual(scale.ticks(3), [0, 1, 2, 3]);
  const at = (time) => Date.parse(`2026-11-24T${time}:00Z`);
  assert.deepEqual(scale.hours(at("08:45"), at("17:15"), 5), [at("10:00"), at("12:00"), at("14:00"), at("16:00")]);
});

test("a line goes through its points and shows what lies between them", () => {
  const points = [
    [0, 0],
    [10, 5],
  ];
  assert.equal(scale.line(points), "M0 0L10 5");
  assert.equal(scale.area(points, 9), "M0 0L10 5L10 9L0 9Z");
  assert.equal(scale.area([], 9), "");
  assert.deepEqual(
    [-1, 0, 4, 10, 99].map((x) => scale.valueAt(points, x)),
    [0, 0, 2, 5, 5],
  );
  assert.equal(scale.linear(3, 3, 7, 9)(3), 7);
});

test("a lost server is asked ever more slowly, up to ten seconds, and not by all at once", () => {
  assert.deepEqual(
    [0, 1, 2, 5, 50].map((attempt) => rest(attempt, 1)),
    [500, 1000, 2000, 10_000, 10_000],
  );
  assert.equal(rest(5, 0), 5000);
});

test("those behind come first, a page at a time, none twice and none left out", async () => {
  const fleet = { behind: [1, 4, 9], failing: [], "on-track": [2, 3], complete: [5, 6, 7, 8] };
  const read = async (standing, limit, cursor) => {
    const from = cursor === null ? 0 : Number(cursor);
    const quotas = fleet[standing].slice(from, from + limit);
    const end = from + quotas.length;
    return { quotas, nextCursor: end < fleet[standing].length ? String(end) : null };
  };
  for (const size of [1, 2, 3, 4, 100]) {
    const seen = [];
    for (let place = START; place !== null;) {
      const page = await walk(read, Object.keys(fleet), place, size);
      assert.ok(page.rows.length <= size);
      seen.push(...page.rows);
      place = page.next;
    }
    assert.deepEqual(seen, [1, 4, 9, 2, 3, 5, 6, 7, 8], `in pages of ${size}`);
  }
});
