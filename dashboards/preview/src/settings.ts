// What the address of the page says, with defaults.
const query = new URLSearchParams(location.search);

/** The dashboard's uid. */
export const uid = query.get('dashboard') ?? 'flowgauge-server';

/** light or dark. */
export const mode = query.get('theme') === 'light' ? 'light' : 'dark';

/** How far to look back, like 15m; undefined for the dashboard's own range. */
export const span = query.get('range') ?? undefined;

/** The moment the range ends, in Unix seconds; undefined for now. */
export const endSeconds = query.has('end') ? Number(query.get('end')) : undefined;

/** Seconds between two scrapes, which Grafana keeps in the data source's settings. */
export const scrapeSeconds = Number(query.get('scrape') ?? 15);

/** The page's address with some of its parameters changed. */
export function address(changes: Record<string, string>): string {
  const changed = new URLSearchParams(location.search);
  Object.entries(changes).forEach(([name, value]) => changed.set(name, value));
  return `/?${changed}`;
}
