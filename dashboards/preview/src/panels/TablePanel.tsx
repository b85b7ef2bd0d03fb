import { Table } from '@grafana/ui';
import type { PanelProps } from '../PanelFrame';

export function TablePanel({ panel, frames, width, height }: PanelProps) {
  return (
    <Table
      data={frames[0]}
      width={width}
      height={height}
      cellHeight={panel.options.cellHeight}
      initialSortBy={panel.options.sortBy}
      columnMinWidth={80}
    />
  );
}
