/** What the insights' webview and the extension say to each other. */
import type { StoreReport } from '../../backend/protocol.ts';
import type { InsightRecord } from './model.ts';

export interface InsightsPage {
  /** All that can be chosen, the newest first. */
  records: { id: number; title: string }[];
  frozen: number | null;
  shown: InsightRecord | null;
  store: StoreReport | null;
}

export type ToInsights = { type: 'page'; page: InsightsPage };

export type FromInsights = { type: 'ready' } | { type: 'freeze'; record: number | null } | { type: 'export' };
