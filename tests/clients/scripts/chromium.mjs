// pusher-js clients in Chromium, each in a page of its own, by name. Arguments: the browser's path, an empty profile folder.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { say, serve } from "./commands.mjs";
import { launch } from "./launch.mjs";

const [executablePath, profile] = process.argv.slice(2);
const web = join(dirname(createRequire(import.meta.url).resolve("pusher-js/package.json")), "dist/web");
const files = {
  "/clients/client.mjs": { path: fileURLToPath(new URL("client.mjs", import.meta.url)) },
  "/clients/pusher.js": { path: join(web, "pusher.js") },
  "/clients/pusher-with-encryption.js": { path: join(web, "pusher-with-encryption.js") },
};

const browser = await launch(executablePath, profile);
// The pages are of the application's own origin, as they would be; the scripts that it does not have are put there.
await browser.route(
  (url) => url.pathname in files,
  (route) => route.fulfill(files[new URL(route.request().url()).pathname]),
);

const pages = new Map();

async function openPage(client, url) {
  const page = await browser.newPage();
  pages.set(client, page);
  page.on("pageerror", (error) => say({ client, channel: null, event: "pageerror", data: String(error) }));
  await page.goto(url);
  return page;
}

await serve({
  async open({ client, key, options, origin, build }) {
    // Any document that the origin really serves: one put there would count as a stranger's, which Chromium lets connect
    // to no address of this machine.
    const page = await openPage(client, `${origin}/pusher.js`);
    await page.exposeFunction("report", (report) => say({ client, ...report }));
    await page.addScriptTag({ url: `/clients/${build}.js` });
    await page.evaluate(
      async ({ key, options }) => {
        const { openClient } = await import("/clients/client.mjs");
        window.client = openClient(window.Pusher, key, options, window.report);
      },
      { key, options },
    );
  },
  call: ({ client, name, args }) => pages.get(client).evaluate(({ name, args }) => window.client[name](args), { name, args }),
  async visit({ client, url }) {
    await openPage(client, url);
  },
  async wait({ client, text }) {
    await pages.get(client).getByText(text, { exact: true }).waitFor();
  },
  async close({ client }) {
    await pages.get(client).close();
    pages.delete(client);
  },
});
await browser.close();
