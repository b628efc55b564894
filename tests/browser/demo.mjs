// The demo's day is seen passing, by the demo's own clock.

import assert from "node:assert/strict";
import { number, play, until, url } from "./browser.mjs";

await play(async (open) => {
  // The demo may end while the page is still looked at.
  const page = await open({ expected: /ERR_|Failed to load/ });
  await page.goto(url);
  await page.locator("#link", { hasText: "live" }).waitFor();
  assert.ok(!page.url().includes("token"), page.url());
  const minutes = async () => {
    const [, hour, minute] = /(\d\d):(\d\d):\d\d UTC/.exec(await page.locator("#now").textContent());
    return Number(hour) * 60 + Number(minute);
  };
  const [began, at] = [Date.now(), await minutes()];
  await until(minutes, (now) => now > at + 60);
  assert.ok(Date.now() - began < 3_600_000, "an hour of its day took less than one");
  await until(
    () => number(page, "#sent"),
    (sent) => sent > 20,
  );
  await page.locator("#day-words", { hasText: "360 are owed today" }).waitFor();
});
