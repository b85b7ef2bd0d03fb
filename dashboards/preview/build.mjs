// Bundle the preview into out/.
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { build } from 'esbuild';

const resolve = createRequire(import.meta.url).resolve;
const grafana = ['data', 'e2e-selectors', 'i18n', 'runtime', 'schema', 'ui'];

copy('uplot/dist/uPlot.min.css', 'out/uplot.css');
// Where Grafana's style sheet looks for its fonts.
const fonts = 'out/public/fonts';
copy('@fontsource/inter/files/inter-latin-400-normal.woff2', `${fonts}/inter/Inter-Regular.woff2`);
copy('@fontsource/inter/files/inter-latin-500-normal.woff2', `${fonts}/inter/Inter-Medium.woff2`);
copy(
  '@fontsource/roboto-mono/files/roboto-mono-latin-400-normal.woff2',
  `${fonts}/roboto/L0xTDF4xlVMF-BfR8bXMIhJHg45mwgGEFl0_3vrtSM1J-gEPT5Ese6hmHSh0mQ.woff2`
);

await build({
  entryPoints: ['src/main.tsx'],
  outfile: 'out/preview.js',
  bundle: true,
  minify: true,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  // The packages' ES modules import names that their siblings do not export.
  alias: Object.fromEntries(
    grafana.map((name) => [`@grafana/${name}`, `./node_modules/@grafana/${name}/dist/cjs/index.cjs`])
  ),
  loader: { '.css': 'empty', '.svg': 'text', '.ttf': 'empty', '.woff2': 'dataurl' },
  logLevel: 'error',
});

function copy(module, path) {
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(resolve(module), path);
}
