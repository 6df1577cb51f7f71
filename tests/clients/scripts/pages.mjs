// Pages of Chromium that are used as a person would, by name. Arguments: the browser's path, an empty profile folder.
import { serve } from "./commands.mjs";
import { contrasts } from "./contrasts.mjs";
import { launch } from "./launch.mjs";

const browser = await launch(...process.argv.slice(2));
const pages = new Map();

/** The element of a role and name. A name that ends in "…" is the beginning of one. */
function find({ page, role, name }) {
  const beginning = new RegExp("^" + name.slice(0, -1).replace(/[^\w\s#]/g, "\\$&"));
  return pages.get(page).getByRole(role, name.endsWith("…") ? { name: beginning } : { name, exact: true });
}

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
  contrasts: ({ page }) => pages.get(page).evaluate(contrasts),
  async screenshot({ page, path }) {
    await pages.get(page).screenshot({ path });
  },
  async close({ page }) {
    await pages.get(page).close();
    pages.delete(page);
  },
});
await browser.close();
