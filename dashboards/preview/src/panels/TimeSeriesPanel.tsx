import { applyNullInsertThreshold } from '@grafana/data';
import { TimeSeries } from '@grafana/ui';
import type { PanelProps } from '../PanelFrame';

export function TimeSeriesPanel({ panel, frames, range, width, height }: PanelProps) {
  // Grafana's own panel marks the gaps before it hands the series on.
  const gapped = frames.map((frame) =>
    applyNullInsertThreshold({
      frame,
      refFieldPseudoMin: range.from.valueOf(),
      refFieldPseudoMax: range.to.valueOf(),
    })
  );
  return (
    <TimeSeries
      frames={gapped}
      timeRange={range}
      timeZone="browser"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}
