import adapter from "@sveltejs/adapter-node";
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

/** @type {import("@sveltejs/kit").Config} */
export default {
  preprocess: vitePreprocess(),
  kit: {
    adapter: adapter(),
    // Forms are taken from any origin. SvelteKit would compare a form's origin with its own, which it knows only where
    // ORIGIN is set, and so refuse pusher-js, which posts forms. That check guards against a foreign page that makes a
    // browser send its cookies here. No route reads one: each wants a bearer token, which only our own pages can read.
    // Once you use cookies or form actions, remove this line and start with ORIGIN=https://your.host.
    csrf: { trustedOrigins: ["*"] },
  },
};
