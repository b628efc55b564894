// Markup from the database is shown as it is written, and does nothing; and were it markup, the policy would refuse it.

import assert from "node:assert/strict";
import { enter, play, until } from "./browser.mjs";

const { ID: id, HOSTILE: hostile } = process.env;

await play(async (open) => {
  const page = await open();
  await enter(page);
  await until(
    () => page.locator("#events-rows").textContent(),
    (text) => text.includes(hostile),
  );
  await page.evaluate((id) => (location.hash = `#/mailbox/${id}`), id);
  for (const place of ["#mailbox-name", "#mailbox-standing", "#mailbox-events"]) {
    await until(
      () => page.locator(place).textContent(),
      (text) => text.includes(hostile),
    );
  }
  assert.equal(await page.locator("img, script:not([src])").count(), 0);
  assert.doesNotMatch(await page.title(), /owned/);

  // The second lock, and that these tests would hear it.
  const refused = [];
  const other = await open({ expected: /policy: |Content Security Policy|status of 404/ });
  await enter(other);
  other.on("console", (message) => refused.push(message.text()));
  await other.evaluate((hostile) => {
    document.body.insertAdjacentHTML("beforeend", hostile);
    document.body.append(Object.assign(document.createElement("script"), { textContent: "document.title = 'owned'" }));
  }, hostile);
  await until(
    () => refused.filter((text) => text.includes("Content Security Policy")).length,
    (times) => times >= 2,
  );
  assert.doesNotMatch(await other.title(), /owned/);
});
