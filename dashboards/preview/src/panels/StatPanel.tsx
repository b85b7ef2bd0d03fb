import { FieldColorModeId, getFieldDisplayValues } from '@grafana/data';
import { BigValue, useTheme2 } from '@grafana/ui';
import type { PanelProps } from '../PanelFrame';

export function StatPanel({ panel, frames, width, height }: PanelProps) {
  const theme = useTheme2();
  const { options, fieldConfig } = panel;
  const [shown] = getFieldDisplayValues({
    data: frames,
    fieldConfig: { ...fieldConfig, defaults: { color: { mode: FieldColorModeId.Thresholds }, ...fieldConfig.defaults } },
    reduceOptions: options.reduceOptions,
    replaceVariables: (text) => text,
    sparkline: false,
    theme,
    timeZone: 'browser',
  });
  return (
    <BigValue
      // One number needs no name beside the panel's title, as in Grafana.
      value={{ ...shown.display, title: undefined }}
      width={width}
      height={height}
      theme={theme}
      colorMode={options.colorMode}
      graphMode={options.graphMode}
      justifyMode={options.justifyMode}
      textMode={options.textMode}
    />
  );
}
