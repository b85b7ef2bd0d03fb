// From answers to what a panel draws: transformations, then units, colours, thresholds, overrides.
import {
  applyFieldOverrides,
  type DataFrame,
  type FieldConfigSource,
  FieldConfigOptionsRegistry,
  type GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import type { Panel } from './dashboard';

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(
    (transformation) => ({ id: transformation.id, name: transformation.name, transformation }) as any
  )
);

export async function dress(panel: Panel, answers: DataFrame[], theme: GrafanaTheme2): Promise<DataFrame[]> {
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], answers));
  return applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'browser',
  });
}

/** Grafana's registry of field options is not published; each option of ours simply passes through. */
function registry(config: FieldConfigSource): FieldConfigOptionsRegistry {
  const { custom = {}, ...standard } = config.defaults;
  const overridden = config.overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const ids = new Set([...Object.keys(standard), ...Object.keys(custom).map((key) => `custom.${key}`), ...overridden]);
  const options = new FieldConfigOptionsRegistry();
  ids.forEach((id) => {
    const isCustom = id.startsWith('custom.');
    options.register({
      id,
      path: isCustom ? id.slice('custom.'.length) : id,
      name: id,
      isCustom,
      process: (value) => value,
      shouldApply: () => true,
      override: () => null,
      editor: () => null,
      settings: {},
    });
  });
  return options;
}
