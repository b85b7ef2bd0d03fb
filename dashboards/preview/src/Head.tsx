// The dashboard's name, its links, and the switch between dark and light.
import type { Dashboard } from './dashboard';
import { address, mode } from './settings';

export function Head({ dashboard }: { dashboard: Dashboard }) {
  const other = mode === 'dark' ? 'light' : 'dark';
  return (
    <header style={{ display: 'flex', alignItems: 'baseline', gap: 20, padding: '12px 16px 4px' }}>
      <h3 style={{ margin: 0, flexGrow: 1 }}>{dashboard.title}</h3>
      {dashboard.links.map(({ title, url }) => (
        <a key={title} href={here(url)}>
          {title}
        </a>
      ))}
      <a href={address({ theme: other })}>{other}</a>
    </header>
  );
}

/** A link to another dashboard leads to its preview. */
function here(url: string): string {
  const dashboard = /^\/d\/([\w-]+)/.exec(url);
  return dashboard ? address({ dashboard: dashboard[1] }) : url;
}
