// Grafana's state timeline is part of its core, not of a package: this draws the same bands.
import { dateTimeFormat, type Field, getFieldDisplayName, type TimeRange } from '@grafana/data';
import { useTheme2, VizLegend } from '@grafana/ui';
import { LegendDisplayMode } from '@grafana/schema';
import type { PanelProps } from '../PanelFrame';

const AXIS_HEIGHT = 20;
const LEGEND_HEIGHT = 28;

export function StateTimelinePanel({ panel, frames, range, width, height }: PanelProps) {
  const theme = useTheme2();
  const names = frames.map((frame) => getFieldDisplayName(frame.fields[1], frame, frames));
  const left = Math.min(width / 3, 16 + 7 * Math.max(...names.map((name) => name.length)));
  const row = (height - AXIS_HEIGHT - LEGEND_HEIGHT) / frames.length;
  const band = row * panel.options.rowHeight;
  const plot = width - left;
  const opacity = panel.fieldConfig.defaults.custom.fillOpacity / 100;
  return (
    <>
      <svg width={width} height={height - LEGEND_HEIGHT} fontSize={12} fill={theme.colors.text.primary}>
        {frames.map(({ fields: [time, value] }, index) => (
          <g key={names[index]} transform={`translate(0 ${index * row})`}>
            <text x={left - 8} y={row / 2 + 4} textAnchor="end">
              {names[index]}
            </text>
            {states(time, value).map(({ begin, end, state }) => (
              <rect
                key={begin}
                x={left + share(begin, range) * plot}
                y={(row - band) / 2}
                width={Math.max(1, (share(end, range) - share(begin, range)) * plot)}
                height={band}
                fill={value.display!(state).color}
                fillOpacity={opacity}
              />
            ))}
          </g>
        ))}
        {[0.1, 0.3, 0.5, 0.7, 0.9].map((mark) => (
          <text key={mark} x={left + mark * plot} y={height - LEGEND_HEIGHT - 4} textAnchor="middle">
            {clock(mark, range)}
          </text>
        ))}
      </svg>
      <VizLegend displayMode={LegendDisplayMode.List} placement="bottom" items={legend(panel, theme)} />
    </>
  );
}

/** Merge neighbours of the same state; a gap in the data ends a state. */
function states(time: Field<number>, value: Field<number>) {
  const step = time.config.interval!;
  const merged: Array<{ begin: number; end: number; state: number }> = [];
  time.values.forEach((at, index) => {
    const last = merged[merged.length - 1];
    const state = value.values[index];
    if (last && last.state === state && at - last.end < step) {
      last.end = at + step;
    } else {
      merged.push({ begin: at, end: at + step, state });
    }
  });
  return merged;
}

function legend(panel: PanelProps['panel'], theme: ReturnType<typeof useTheme2>) {
  return (panel.fieldConfig.defaults.mappings ?? [])
    .flatMap((mapping) => Object.values(mapping.options as Record<string, { text: string; color: string }>))
    .map(({ text, color }) => ({ label: text, color: theme.visualization.getColorByName(color), yAxis: 1 }));
}

function share(at: number, range: TimeRange): number {
  const from = range.from.valueOf();
  return Math.min(1, Math.max(0, (at - from) / (range.to.valueOf() - from)));
}

function clock(mark: number, range: TimeRange): string {
  const from = range.from.valueOf();
  return dateTimeFormat(from + mark * (range.to.valueOf() - from), { format: 'HH:mm', timeZone: 'browser' });
}
