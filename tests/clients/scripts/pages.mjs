// Pages of Chromium that are used as a person would, by name. Arguments: the browser's path, an empty profile folder.
import { serve } from "./commands.mjs";
import { launch } from "./launch.mjs";

const browser = await launch(...process.argv.slice(2));
const pages = new Map();
const find = ({ page, role, name }) => pages.get(page).getByRole(role, { name, exact: true });

await serve({
  async open({ page, url, width, height, dark }) {
    const opened = await browser.newPage();
    pages.set(page, opened);
    await opened.setViewportSize({ width, height });
    await opened.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await opened.goto(url);
  },
  click: (where) => find(where).click(),
  fill: ({ text, ...where }) => find(where).fill(text),
  type: ({ text, ...where }) => find(where).pressSequentially(text),
  move: ({ page, x, y }) => pages.get(page).mouse.move(x, y),
  press: ({ page, key }) => pages.get(page).keyboard.press(key),
  see: ({ text, ...where }) => find(where).getByText(text).first().waitFor(),
  miss: ({ text, ...where }) => find(where).getByText(text).first().waitFor({ state: "hidden" }),
  count: ({ text, ...where }) => find(where).getByText(text).count(),
  value: (where) => find(where).inputValue(),
  async hold({ text, ...where }) {
    const field = await find(where).elementHandle();
    await pages.get(where.page).waitForFunction(([field, text]) => field.value.includes(text), [field, text]);
  },
  until: ({ page, script }) => pages.get(page).waitForFunction(script).then(() => undefined),
  evaluate: ({ page, script }) => pages.get(page).evaluate(script),
  async screenshot({ page, path }) {
    await pages.get(page).screenshot({ path });
  },
  async close({ page }) {
    await pages.get(page).close();
    pages.delete(page);
  },
});
await browser.close();
