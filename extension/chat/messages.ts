/** What the chat's webview and the extension say to each other. */
import type { Citation } from '../../backend/protocol.ts';
import type { Remedy } from '../events.ts';
import type { ChatState } from './model.ts';

export type ToWebview =
  | { type: 'state'; state: ChatState }
  /** Focus the question box; `draft` fills it when it is empty. */
  | { type: 'focus'; draft?: string };

export type FromWebview =
  | { type: 'ready' }
  | { type: 'ask'; question: string }
  | { type: 'cancel' }
  | { type: 'open'; turn: number; citation: Citation }
  | { type: 'remedy'; turn: number; remedy: Remedy };
