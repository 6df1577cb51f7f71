import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vue()],
  resolve: { tsconfigPaths: true },
  server: {
    host: process.env.HOST ?? "127.0.0.1",
    proxy: { "/api": `http://127.0.0.1:${process.env.PORT ?? 3000}` }, // for `npm run dev` next to `npm start`
  },
});
