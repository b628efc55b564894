// A mailbox is found, tried out, paused with a reason, and resumed.

import assert from "node:assert/strict";
import { comeTo, enter, play } from "./browser.mjs";

const { MAILBOX: mailbox } = process.env;

await play(async (open) => {
  const page = await open();
  await enter(page);
  await page.getByRole("searchbox").fill(mailbox.slice(0, 5).toUpperCase());
  const found = page.locator("#mailboxes-rows a");
  await page.waitForFunction(() => document.querySelectorAll("#mailboxes-rows a").length === 1);
  assert.equal(await found.textContent(), mailbox);
  await found.click();
  await page.getByRole("heading", { level: 1, name: mailbox }).waitFor();
  await page.locator("#mailbox-standing", { hasText: /^active$/ }).waitFor();
  await page.locator("#log-rows", { hasText: "SENT" }).waitFor();
  await page.locator("#days-rows", { hasText: "of 300" }).waitFor();

  await page.getByRole("button", { name: "Test" }).click();
  await page.locator("#mailbox-said", { hasText: "It can send." }).waitFor();

  await page.getByRole("button", { name: "Pause…" }).click();
  await page.getByRole("dialog", { name: `Pause ${mailbox}?` }).waitFor();
  await page.getByLabel("Reason").fill("too many complaints");
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.locator("#mailbox-standing", { hasText: "paused: too many complaints" }).waitFor();
  await page.locator("#mailbox-because", { hasText: "It does not send" }).waitFor();
  await page.locator("#mailbox-events", { hasText: "paused by the operator (too many complaints)" }).waitFor();
  await comeTo("paused");

  await page.getByRole("button", { name: "Resume…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.locator("#mailbox-standing", { hasText: /^active$/ }).waitFor();
  await comeTo("resumed");
});
