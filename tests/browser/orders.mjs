// Start, stop and trigger, each only once it is confirmed.

import assert from "node:assert/strict";
import { comeTo, enter, play, until } from "./browser.mjs";

await play(async (open) => {
  const page = await open();
  await enter(page);
  const button = (name) => page.getByRole("button", { name: `${name}…` });
  const give = async (name, action) => {
    await button(name).click();
    await page.getByRole("dialog").getByRole("button", { name: action, exact: true }).click();
  };
  const said = (text) => page.locator("#order-said", { hasText: text }).waitFor();
  await until(() => button("Start").isDisabled(), Boolean);

  await give("Stop", "Cancel");
  await button("Stop").click();
  await page.getByRole("dialog", { name: "Stop the fleet?" }).waitFor();
  assert.ok(
    await page
      .getByRole("dialog")
      .getByRole("button", { name: "Cancel" })
      .evaluate((no) => no === document.activeElement),
  );
  await page.keyboard.press("Escape");
  assert.ok(await button("Stop").evaluate((stop) => stop === document.activeElement), "the focus comes back");
  await comeTo("cancelled");

  await give("Stop", "Stop");
  await said("The fleet was stopped.");
  await page.locator("#order", { hasText: "stopped by order" }).waitFor();
  await until(() => button("Plan now").isDisabled(), Boolean);
  await comeTo("stopped");

  await give("Start", "Start");
  await said("The fleet was started.");
  await page.locator("#order", { hasText: /^running$/ }).waitFor();
  await comeTo("started");

  await until(() => button("Plan now").isEnabled(), Boolean);
  const tick = () =>
    page.evaluate(async () => {
      const answer = await fetch("/api/warmup/control", {
        headers: { Authorization: `Bearer ${sessionStorage.getItem("warmup.token")}` },
      });
      return (await answer.json()).data.lastRunTime;
    });
  const before = await tick();
  await give("Plan now", "Plan now");
  await said("All workers plan now.");
  await until(tick, (last) => last !== before);
  await comeTo("triggered");
});
