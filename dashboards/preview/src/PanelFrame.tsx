// A panel's frame: it asks, waits, and draws; an error is written into it.
import { type DataFrame, LoadingState, type TimeRange } from '@grafana/data';
import { PanelChrome, useTheme2 } from '@grafana/ui';
import { type ComponentType, useEffect, useState } from 'react';
import type { Panel } from './dashboard';
import { dress } from './frames';
import { HeatmapPanel } from './panels/HeatmapPanel';
import { StatPanel } from './panels/StatPanel';
import { StateTimelinePanel } from './panels/StateTimelinePanel';
import { TablePanel } from './panels/TablePanel';
import { TimeSeriesPanel } from './panels/TimeSeriesPanel';
import { ask } from './prometheus';

export interface PanelProps {
  panel: Panel;
  frames: DataFrame[];
  range: TimeRange;
  width: number;
  height: number;
}

const PANELS: Record<string, ComponentType<PanelProps>> = {
  heatmap: HeatmapPanel,
  stat: StatPanel,
  'state-timeline': StateTimelinePanel,
  table: TablePanel,
  timeseries: TimeSeriesPanel,
};

interface FrameProps {
  panel: Panel;
  range: TimeRange;
  width: number;
  height: number;
}

export function PanelFrame(props: FrameProps) {
  return props.panel.type === 'row' ? <RowTitle title={props.panel.title} /> : <DataPanel {...props} />;
}

function RowTitle({ title }: { title: string }) {
  return <h4 style={{ margin: '4px 8px', fontWeight: 500 }}>{title}</h4>;
}

function DataPanel({ panel, range, width, height }: FrameProps) {
  const theme = useTheme2();
  const [frames, setFrames] = useState<DataFrame[]>();
  const [error, setError] = useState<string>();

  useEffect(() => {
    Promise.all(panel.targets.map((target) => ask(target, range, width)))
      .then((answers) => dress(panel, answers.flat(), theme))
      .then(setFrames, (reason) => setError(String(reason)));
  }, [panel, range, width, theme]);

  const Drawing = PANELS[panel.type];
  const { noValue } = panel.fieldConfig.defaults;
  const isEmpty = frames?.length === 0;
  // A panel may say what having no data means; then that is no defect.
  const state = error ? 'error' : !frames ? 'loading' : isEmpty && !noValue ? 'empty' : 'drawn';
  return (
    <div data-state={state}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={width}
        height={height}
        padding={panel.type === 'stat' ? 'none' : 'md'}
        loadingState={state === 'loading' ? LoadingState.Loading : LoadingState.Done}
        statusMessage={error}
      >
        {(innerWidth, innerHeight) => {
          if (state === 'loading' || error) {
            return error ?? null;
          }
          if (isEmpty && panel.type !== 'stat') {
            return <Centered text={noValue ?? 'No data'} height={innerHeight} />;
          }
          return <Drawing panel={panel} frames={frames!} range={range} width={innerWidth} height={innerHeight} />;
        }}
      </PanelChrome>
    </div>
  );
}

function Centered({ text, height }: { text: string; height: number }) {
  return <div style={{ height, display: 'grid', placeItems: 'center' }}>{text}</div>;
}
