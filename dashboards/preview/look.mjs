// Look at dashboards in a real browser: node look.mjs URL UID,UID [--name value ...]
//
// Prints what is wrong with each, as JSON: {"<uid>": ["Panel: what"]}. With --pictures FOLDER it also
// writes the first screen to <uid>.png, or <uid>-light.png, and with --whole the rest as well.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import puppeteer from 'puppeteer-core';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    theme: { type: 'string', default: 'dark' },
    scrape: { type: 'string', default: '15' },
    end: { type: 'string', default: String(Date.now() / 1000) },
    pictures: { type: 'string' },
    whole: { type: 'boolean', default: false },
    browser: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const [base, uids] = positionals;

const browser = await puppeteer.launch({
  executablePath: options.browser,
  // Containers run as root, where Chromium has no sandbox.
  args: ['--no-sandbox', '--hide-scrollbars'],
});
try {
  const defects = {};
  for (const uid of uids.split(',')) {
    defects[uid] = await look(uid);
  }
  console.log(JSON.stringify(defects, null, 2));
} finally {
  await browser.close();
}

async function look(uid) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1600, height: 1000 });
  const errors = [];
  page.on('console', (message) => {
    if (message.type() === 'error') {
      errors.push(`console: ${message.text()} ${message.location().url}`);
    }
  });
  page.on('pageerror', (error) => errors.push(`page: ${error.message}`));

  const { theme, scrape, end } = options;
  const query = new URLSearchParams({ dashboard: uid, theme, scrape, end });
  await page.goto(`${base}/?${query}`, { waitUntil: 'networkidle0', timeout: 120_000 });
  await page.waitForFunction(
    () => document.querySelector('[data-state]') && !document.querySelector('[data-state=loading]'),
    { timeout: 120_000 }
  );
  if (options.pictures) {
    const name = join(options.pictures, theme === 'light' ? `${uid}-light` : uid);
    await page.screenshot({ path: `${name}.png` });
    if (options.whole) {
      await page.screenshot({ path: `${name}-whole.png`, fullPage: true });
    }
  }
  const defects = [...errors, ...(await page.evaluate(inspect))];
  await page.close();
  return defects;
}

/** Runs in the page: name the panels that are empty, failed, cut off or without a legend. */
function inspect() {
  return [...document.querySelectorAll('section[data-panel]')].flatMap((section) => {
    const found = [];
    const frame = section.querySelector('[data-state]');
    if (frame && frame.dataset.state !== 'drawn') {
      found.push(frame.dataset.state);
    }
    if (section.querySelector('.uplot') && !section.querySelector('[data-testid*="VizLegend"], table')) {
      found.push('no legend');
    }
    for (const element of section.querySelectorAll('*')) {
      const ownText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
      const hides = getComputedStyle(element).overflowX !== 'visible';
      if (ownText && hides && element.scrollWidth > element.clientWidth + 1) {
        found.push(`cut off: ${element.textContent}`);
      }
    }
    return found.map((what) => `${section.dataset.panel}: ${what}`);
  });
}
