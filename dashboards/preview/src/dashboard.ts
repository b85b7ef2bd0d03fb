// The parts of a dashboard's JSON that are drawn.
import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';
import type { Target } from './prometheus';

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets: Target[];
  fieldConfig: FieldConfigSource;
  options: any;
  transformations?: DataTransformerConfig[];
}

export interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
  time: { from: string; to: string };
  links: Array<{ title: string; url: string }>;
}
