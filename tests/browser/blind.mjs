// A server that answers and can't tell how things are says why, and the page says that its numbers are old.

import assert from "node:assert/strict";
import { comeTo, enter, play } from "./browser.mjs";

await play(async (open) => {
  const page = await open({ expected: /status of 503/ });
  await enter(page);
  await comeTo("live");
  const banner = page.getByRole("alert").filter({ hasText: "Redis does not answer: check that it runs" });
  await banner.waitFor();
  assert.equal(await page.locator("#link").textContent(), "can’t tell");
  await comeTo("blind");
  await page.locator("#link", { hasText: "live" }).waitFor();
  assert.ok(!(await banner.isVisible()));
});
