// Log in: a wrong token is refused in words, a right one shows a day that moves, and one in the address is taken over.

import assert from "node:assert/strict";
import { number, play, token, until, url } from "./browser.mjs";

await play(async (open) => {
  const page = await open({ expected: /status of 401/ });
  await page.goto(url);
  await page.getByLabel("Token").fill("warmup_wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "The token was refused: the token is unknown" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);

  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("#link", { hasText: "live" }).waitFor();
  assert.equal(await page.locator("#who").textContent(), "operator@localhost (admin)");

  const before = await until(
    () => number(page, "#sent"),
    (sent) => sent > 0,
  );
  const chart = () => page.locator("#day-chart .sent-line").getAttribute("d");
  const drawn = await chart();
  await until(
    () => number(page, "#sent"),
    (sent) => sent > before + 10,
  );
  await until(chart, (line) => line !== drawn);
  const sentence = /^Batch #\d+: \d+ processed, \d+ sent, 0 failed \(\d+ %\)$/;
  await page.locator("#batches-rows .words", { hasText: sentence }).first().waitFor();
  await page.locator("#workers-rows", { hasText: "worker-1 leaderrunning8" }).waitFor();

  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.ok(!(await page.locator("#overview").isVisible()));

  // In an open page as well as in a new one, and gone from the address and from where "back" leads.
  for (const another of [page, await open()]) {
    await another.goto(`${url}#token=${encodeURIComponent(token)}`);
    await another.locator("#link", { hasText: "live" }).waitFor();
    assert.equal(another.url(), url);
    assert.equal(await another.evaluate(() => location.href), url);
    await another.goBack();
    assert.ok(!another.url().includes("token"), another.url());
  }
});
