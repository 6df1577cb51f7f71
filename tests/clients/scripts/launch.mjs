// Chromium as every test wants it: without a window, and without talking to anybody of its own accord.
import { chromium } from "playwright-core";

/** How long a page may take, in milliseconds: as long as the tests wait for anything. */
const PATIENCE = 60_000;

/** Starts the browser at `executablePath` with an empty profile folder. Certificates of a test's own are trusted. */
export async function launch(executablePath, profile) {
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    timeout: PATIENCE,
    ignoreHTTPSErrors: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  browser.setDefaultTimeout(PATIENCE);
  return browser;
}
