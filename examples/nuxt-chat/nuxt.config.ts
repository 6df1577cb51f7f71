export default defineNuxtConfig({
  compatibilityDate: "2026-05-01",
  css: ["~/assets/globals.css"],
  app: {
    head: {
      title: "Chat",
      viewport: "width=device-width, initial-scale=1, interactive-widget=resizes-content",
      htmlAttrs: { lang: "en" },
      meta: [
        { name: "description", content: "A chat with Nuxt and soketpy" },
        { name: "color-scheme", content: "light dark" },
      ],
      link: [{ rel: "icon", href: "data:," }], // no icon; put yours into public/favicon.ico and remove this line
    },
  },
  // The server reads each value from its NUXT_ variable, in .env or the environment, when it starts. Only public values
  // reach the browser.
  runtimeConfig: {
    pusherAppId: "",
    pusherSecret: "",
    pusherHost: "",
    pusherPort: "",
    pusherTls: false,
    sessionSecret: "",
    public: { pusherKey: "", pusherHost: "", pusherPort: "" },
  },
  vite: { optimizeDeps: { include: ["pusher-js"] } }, // otherwise `npm run dev` finds it late and reloads the page
  devServer: { host: process.env.HOST ?? "127.0.0.1" },
  devtools: { enabled: false },
  telemetry: false,
});
