// Log in, filter, open a mailbox and come back, without a mouse and with a focus that is always seen.

import assert from "node:assert/strict";
import { play, token, until, url } from "./browser.mjs";

await play(async (open) => {
  const page = await open();
  const press = (...keys) =>
    keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const focused = (selector) =>
    page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, selector);
  /** Tabs on until what `selector` means has the focus. */
  const tabTo = async (selector) => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      if (await focused(selector)) {
        const seen = await page.evaluate(() => {
          const ring = (element) => getComputedStyle(element).outlineStyle !== "none";
          return (
            ring(document.activeElement) || ring(document.activeElement.nextElementSibling ?? document.activeElement)
          );
        });
        return assert.ok(seen, `the focus on ${selector} is seen`);
      }
      await press("Tab");
    }
    assert.fail(`no tab leads to ${selector}`);
  };

  await page.goto(url);
  await until(() => focused("#token"), Boolean);
  await page.keyboard.type(token);
  await press("Enter");
  await page.locator("#link", { hasText: "live" }).waitFor();
  await until(
    () => page.locator("#mailboxes-rows a").count(),
    (rows) => rows === 8,
  );

  await tabTo("[name=standing]");
  await press("ArrowRight", "ArrowRight");
  await page.locator("#page-words", { hasText: "No mailbox is so." }).waitFor();
  assert.ok(await page.getByRole("radio", { name: "failing" }).isChecked());
  await press("ArrowLeft", "ArrowLeft");
  await until(
    () => page.locator("#mailboxes-rows a").count(),
    (rows) => rows === 8,
  );

  await tabTo("#search");
  await page.keyboard.type("ben2");
  await until(
    () => page.locator("#mailboxes-rows a").count(),
    (rows) => rows === 1,
  );
  await tabTo("#mailboxes-rows a");
  await press("Enter");
  await page.getByRole("heading", { level: 1, name: "ben2@ben.test" }).waitFor();
  assert.ok(await focused("#mailbox-email"), "the heading of what was opened has the focus");

  await tabTo("#mailbox-pause");
  await press("Enter");
  await until(() => focused("#dialog-input"), Boolean);
  await press("Enter");
  await page.locator("#mailbox-standing", { hasText: "paused" }).waitFor();
  await tabTo("#mailbox-resume");
  await press("Enter", "Tab", "Enter");
  await page.locator("#mailbox-standing", { hasText: /^active$/ }).waitFor();

  await tabTo("#mailbox a[href='#/']");
  await press("Enter");
  await page.locator("#overview").waitFor();
  assert.ok(await focused("#overview-title"));
});
