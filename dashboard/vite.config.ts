import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// During `npm run dev` the page talks to a desk that runs beside it; open the link of `interlock run` once, on this port.
const desk = process.env.INTERLOCK_DESK ?? "http://127.0.0.1:8700";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../src/interlock/web/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: {
      "/api": { target: desk },
      "/health": { target: desk },
      "/ws": { target: desk, ws: true },
    },
  },
});
