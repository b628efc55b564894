// A lost server shows as lost with since when, the page goes on by itself when it is back, and a revoked token lets out.

import assert from "node:assert/strict";
import { comeTo, enter, number, play, until } from "./browser.mjs";

await play(async (open) => {
  const page = await open({
    expected: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|status of 401/,
  });
  await enter(page);
  const sent = await until(
    () => number(page, "#sent"),
    (sent) => sent > 0,
  );
  await comeTo("live");

  const banner = page.getByRole("alert").filter({ hasText: "No answer from the server since" });
  await banner.waitFor();
  assert.match(await banner.textContent(), /since \d\d:\d\d:\d\d UTC/);
  assert.equal(await page.locator("#link").textContent(), "lost");
  assert.equal(await page.title(), "lost – warmup");
  assert.match(await page.locator(".tiles").evaluate((tiles) => getComputedStyle(tiles).filter), /grayscale/);
  const last = await number(page, "#sent");
  assert.ok(last >= sent, "what was known last stays");
  await comeTo("lost");

  await page.locator("#link", { hasText: "live" }).waitFor();
  assert.ok(!(await banner.isVisible()));
  await until(
    () => number(page, "#sent"),
    (sent) => sent > last,
  );
  await comeTo("back");

  await page.getByRole("alert").filter({ hasText: "The token was refused" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});
