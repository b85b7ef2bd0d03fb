// Grafana's heatmap is part of its core, not of a package: this draws the same cells the same way.
import { dateTimeFormat, formattedValueToString, getValueFormat, type TimeRange } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import { useEffect, useRef } from 'react';
import type { PanelProps } from '../PanelFrame';

const AXIS = { left: 60, bottom: 22 };

export function HeatmapPanel({ panel, frames, range, width, height }: PanelProps) {
  const theme = useTheme2();
  const canvas = useRef<HTMLCanvasElement>(null);
  const { color, yAxis } = panel.options;

  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const scale = window.devicePixelRatio;
    canvas.current!.width = width * scale;
    canvas.current!.height = height * scale;
    context.scale(scale, scale);
    context.font = `12px ${theme.typography.fontFamily}`;
    context.fillStyle = theme.colors.text.primary;

    const buckets = separate(frames);
    const most = Math.max(...buckets.flatMap(({ counts }) => [...counts.values()]));
    const plot = { width: width - AXIS.left, height: height - AXIS.bottom };
    const row = plot.height / buckets.length;
    const format = getValueFormat(yAxis.unit);
    buckets.forEach(({ bound, counts, step }, index) => {
      const top = plot.height - (index + 1) * row;
      const cell = (step / span(range)) * plot.width;
      counts.forEach((count, at) => {
        if (count > panel.options.filterValues.le) {
          context.fillStyle = shade((count / most) ** color.exponent, theme.isDark);
          context.fillRect(AXIS.left + position(at, range) * plot.width - cell, top, Math.max(1, cell - panel.options.cellGap), row - 1);
        }
      });
      if (index % Math.ceil(18 / row) === 0) {
        context.fillStyle = theme.colors.text.primary;
        context.textAlign = 'right';
        const text = Number.isFinite(bound) ? formattedValueToString(format(bound)) : '+Inf';
        context.fillText(text, AXIS.left - 8, top + row / 2 + 4);
      }
    });
    context.fillStyle = theme.colors.text.primary;
    drawTimes(context, range, plot);
  }, [panel, frames, range, width, height, theme, color, yAxis]);

  return <canvas ref={canvas} style={{ width, height }} />;
}

interface Bucket {
  bound: number;
  counts: Map<number, number>;
  step: number;
}

/** Prometheus' buckets hold what the smaller ones hold too; a heatmap shows the difference. */
function separate(frames: PanelProps['frames']): Bucket[] {
  const cumulative = frames
    .map(({ fields: [time, value] }) => ({
      bound: Number(value.labels!.le.replace('+Inf', 'Infinity')),
      counts: new Map<number, number>(time.values.map((at, index) => [at, value.values[index]])),
      step: time.config.interval!,
    }))
    .sort((one, other) => one.bound - other.bound);
  return cumulative.map((bucket, index) => {
    const below = cumulative[index - 1]?.counts;
    const own = [...bucket.counts].map(([at, count]) => [at, count - (below?.get(at) ?? 0)] as const);
    return { ...bucket, counts: new Map(own) };
  });
}

/** d3's Oranges, as Grafana: faint is the background, strong stands out from it. */
function shade(strength: number, isDark: boolean): string {
  return isDark ? `hsl(24 90% ${15 + 60 * strength}%)` : `hsl(24 90% ${95 - 55 * strength}%)`;
}

function drawTimes(context: CanvasRenderingContext2D, range: TimeRange, plot: { width: number; height: number }) {
  const marks = 5;
  context.textAlign = 'center';
  for (let mark = 0; mark < marks; mark++) {
    const share = (mark + 0.5) / marks;
    const at = range.from.valueOf() + share * span(range);
    const text = dateTimeFormat(at, { format: 'HH:mm', timeZone: 'browser' });
    context.fillText(text, AXIS.left + share * plot.width, plot.height + 17);
  }
}

function span(range: TimeRange): number {
  return range.to.valueOf() - range.from.valueOf();
}

function position(at: number, range: TimeRange): number {
  return (at - range.from.valueOf()) / span(range);
}
