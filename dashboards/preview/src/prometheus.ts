// Asking Prometheus what a panel asks, and giving the answer the shape Grafana's data source gives.
import { type DataFrame, type Field, FieldType, rangeUtil, type TimeRange, toDataFrame } from '@grafana/data';
import { scrapeSeconds } from './settings';

export interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  format: string;
  instant: boolean;
}

interface Series {
  metric: Record<string, string>;
  value?: [number, string];
  values?: Array<[number, string]>;
}

/** Answer one query with the frames that a panel of the given width draws. */
export async function ask(target: Target, range: TimeRange, width: number): Promise<DataFrame[]> {
  const step = stepSeconds(range, width);
  const expr = interpolate(target.expr, range, step);
  const series = target.instant
    ? await get('query', { query: expr, time: seconds(range.to) })
    : await get('query_range', { query: expr, start: seconds(range.from), end: seconds(range.to), step });
  if (target.format === 'table') {
    return series.length ? [tableFrame(target, series)] : [];
  }
  return series.map((each) => seriesFrame(target, each, step));
}

/** The step Grafana chooses: one point a pixel, but none between two scrapes. */
function stepSeconds(range: TimeRange, width: number): number {
  return rangeUtil.calculateInterval(range, width, `${scrapeSeconds}s`).intervalMs / 1000;
}

/** Replace Grafana's variables; every variable of ours stands at All, which is `.+`, or `.*`
 * for a label that a target may lack. */
function interpolate(expr: string, range: TimeRange, step: number): string {
  const rate = Math.max(step + scrapeSeconds, 4 * scrapeSeconds);
  const span = Math.round(seconds(range.to) - seconds(range.from));
  return expr
    .replaceAll('$__rate_interval', `${rate}s`)
    .replaceAll('$__range', `${span}s`)
    .replaceAll(/\$(?:environment|cluster|namespace)\b/g, '.*')
    .replaceAll(/\$\w+/g, '.+');
}

async function get(endpoint: string, parameters: Record<string, string | number>): Promise<Series[]> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const answer = await (await fetch(`/api/v1/${endpoint}?${query}`)).json();
  if (answer.status !== 'success') {
    throw new Error(answer.error);
  }
  return answer.data.result;
}

function seriesFrame(target: Target, series: Series, step: number): DataFrame {
  const points = series.values ?? [series.value!];
  const name = legend(target.legendFormat, series.metric);
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: { interval: step * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        values: points.map(([, value]) => Number(value)),
        labels: series.metric,
        config: { displayNameFromDS: name },
      },
    ],
  });
}

function tableFrame(target: Target, series: Series[]): DataFrame {
  const labels = [...new Set(series.flatMap((each) => Object.keys(each.metric)))].sort();
  const fields: Array<Partial<Field>> = [
    { name: 'Time', type: FieldType.time, values: series.map((each) => each.value![0] * 1000) },
    ...labels.map((label) => ({
      name: label,
      type: FieldType.string,
      values: series.map((each) => each.metric[label] ?? ''),
    })),
    { name: `Value #${target.refId}`, type: FieldType.number, values: series.map((each) => Number(each.value![1])) },
  ];
  return toDataFrame({ refId: target.refId, fields });
}

function legend(format: string, labels: Record<string, string>): string {
  if (format === '__auto') {
    return Object.values(labels)[0] ?? 'Value';
  }
  return format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

function seconds(moment: { valueOf(): number }): number {
  return moment.valueOf() / 1000;
}
