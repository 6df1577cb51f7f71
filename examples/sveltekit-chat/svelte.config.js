import adapter from "@sveltejs/adapter-node";
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

/** @type {import("@sveltejs/kit").Config} */
export default {
  preprocess: vitePreprocess(),
  kit: {
    adapter: adapter(),
    // Accept forms from any origin. SvelteKit would compare the origin of a form with its own, which it knows only if
    // ORIGIN is set, and refuse the forms of pusher-js. The check protects against a foreign page that makes a browser
    // send its cookies. No route reads a cookie: each needs a bearer token, which only our own pages can read.
    // Once you use cookies or form actions, remove this line and start with ORIGIN=https://your.host.
    csrf: { trustedOrigins: ["*"] },
  },
};
