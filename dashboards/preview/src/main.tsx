// A dashboard as Grafana draws it, without Grafana: its own React components, fed by Prometheus.
import { createTheme, dateTime, rangeUtil, ThemeContext, type TimeRange } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import type { Dashboard } from './dashboard';
import { Head } from './Head';
import { PanelFrame } from './PanelFrame';
import { endSeconds, mode, span, uid } from './settings';

// Grafana's own grid: 24 columns, rows of 30 px, gaps of 8 px.
const GAP = 8;
const ROW = 30 + GAP;

async function main() {
  const dashboard: Dashboard = await (await fetch(`/dashboards/${uid}.json`)).json();
  createRoot(document.getElementById('root')!).render(<Page dashboard={dashboard} />);
}

function Page({ dashboard }: { dashboard: Dashboard }) {
  const theme = createTheme({ colors: { mode } });
  const column = (document.documentElement.clientWidth - GAP) / 24;
  const range = timeRange(dashboard);
  const height = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * ROW;
  document.body.style.background = theme.colors.background.canvas;
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PortalContainer />
      <Head dashboard={dashboard} />
      <main style={{ position: 'relative', height }}>
        {dashboard.panels.map((panel) => {
          const { x, y, w, h } = panel.gridPos;
          const place = { left: GAP + x * column, top: GAP + y * ROW, width: w * column - GAP, height: h * ROW - GAP };
          return (
            <section key={panel.id} data-panel={panel.title} style={{ position: 'absolute', ...place }}>
              <PanelFrame panel={panel} range={range} width={place.width} height={place.height} />
            </section>
          );
        })}
      </main>
    </ThemeContext.Provider>
  );
}

function timeRange(dashboard: Dashboard): TimeRange {
  const own = dashboard.time.from.replace('now-', '');
  const to = endSeconds === undefined ? dateTime() : dateTime(endSeconds * 1000);
  const from = dateTime(to.valueOf() - rangeUtil.intervalToMs(span ?? own));
  return { from, to, raw: { from, to } };
}

main();
