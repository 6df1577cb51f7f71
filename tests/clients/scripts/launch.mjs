// Chromium as every test wants it: without a window, and without talking to anybody of its own accord.
import { chromium } from "playwright-core";

/** Starts the browser at `executablePath` with an empty profile folder. */
export function launch(executablePath, profile) {
  return chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
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
