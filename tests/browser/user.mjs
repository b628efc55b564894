// Who is no admin sees their own mailboxes, and neither orders nor workers nor batches.

import assert from "node:assert/strict";
import { enter, number, play, until } from "./browser.mjs";

const { FOREIGN: foreign } = process.env;

await play(async (open) => {
  const page = await open({ expected: /status of 404/ });
  await enter(page);
  await page.locator("#who", { hasText: /^ann@ann.test$/ }).waitFor();
  await until(
    () => page.locator("#mailboxes-rows a").count(),
    (rows) => rows === 4,
  );
  for (const address of await page.locator("#mailboxes-rows a").allTextContents()) assert.match(address, /@ann\.test$/);
  await page.locator("#sent-more", { hasText: "of 4" }).waitFor();
  await until(
    () => number(page, "#sent"),
    (sent) => sent > 0,
  );
  await page.getByRole("heading", { name: "Your caps" }).waitFor();
  for (const name of ["Start…", "Stop…", "Plan now…"])
    assert.equal(await page.getByRole("button", { name }).count(), 0);
  for (const name of ["Workers", "Batches"]) assert.equal(await page.getByRole("heading", { name }).count(), 0);

  await page.evaluate((id) => (location.hash = `#/mailbox/${id}`), foreign);
  await page.locator("#mailbox-missing", { hasText: `there is no mailbox ${foreign}` }).waitFor();
  assert.ok(!(await page.locator("#mailbox-whole").isVisible()));
  assert.ok(!(await page.locator("body").textContent()).includes("ben.test"));
});
