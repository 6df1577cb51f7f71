// Chromium as every test wants it: without a window, and without talking to anybody of its own accord.
import { chromium } from "playwright-core";

/** Starts the browser at `executablePath` with an empty profile folder. Certificates of a test's own are trusted. */
export function launch(executablePath, profile) {
  return chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
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
}
