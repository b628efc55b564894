// Every view by axe-core's rules, in light and dark and on a phone, which never scrolls sideways; with screenshots.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { enter, number, play, screenshots, until, url } from "./browser.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const SIZES = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 } },
};

async function check(page, name) {
  // Not by a script element: the policy holds for tests too.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(
    grave.map(({ id, nodes }) => [id, nodes[0].html, nodes[0].failureSummary]),
    [],
    name,
  );
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= seen, `${name} scrolls sideways: ${wide} of ${seen}`);
  await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
}

await play(async (open) => {
  for (const [size, options] of Object.entries(SIZES)) {
    const page = await open(options);
    await page.goto(url);
    await page.getByLabel("Token").waitFor();
    await check(page, `login-${size}`);

    await enter(page);
    await until(
      () => number(page, "#sent"),
      (sent) => sent > 0,
    );
    await until(
      () => page.locator("#mailboxes-rows tr").count(),
      (rows) => rows === 25,
    );
    await page.locator("#workers-rows tr").waitFor();
    await page.locator("#day-chart svg").waitFor();
    await page.locator("#events-rows li").first().waitFor();
    await page.getByText("As a table").click();
    await check(page, `overview-${size}`);

    await page.getByRole("button", { name: "Next" }).click();
    await page.locator("#page-words", { hasText: "26 to 30" }).waitFor();
    await page.getByRole("button", { name: "Stop…" }).click();
    await page.getByRole("dialog").waitFor();
    await check(page, `dialog-${size}`);
    await page.keyboard.press("Escape");

    await page.locator("label", { hasText: "failing" }).click();
    await page.locator("#mailboxes-rows a", { hasText: "ben0@ben.test" }).click();
    await page.locator("#mailbox-standing", { hasText: "disabled: auth-refused" }).waitFor();
    await check(page, `mailbox-${size}`);
    await page.context().close();
  }
});
