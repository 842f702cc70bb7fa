// One script of the page and all it needs. Usage: node build.mjs FOLDER
import { build } from "esbuild";

await build({
  entryPoints: ["page.jsx"],
  outfile: `${process.argv[2]}/page.js`,
  bundle: true,
  minify: true,
  loader: { ".png": "dataurl", ".svg": "dataurl" },
  define: { global: "window", "process.env.NODE_ENV": '"production"', "import.meta.env": "{}" },
  banner: { js: "var process = { env: {} };" },
  logLevel: "error",
});
