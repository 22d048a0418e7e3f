/** What the chat's webview and the extension say to each other. */
import type { Citation } from '../../backend/protocol.ts';
import type { Remedy } from '../events.ts';
import type { WelcomeCommand } from '../first-run/welcome.ts';
import type { ChatState, EvidencePlace } from './model.ts';

export type ToWebview =
  | { type: 'state'; state: ChatState }
  /** Focus the question box; `draft` fills it when it is empty. */
  | { type: 'focus'; draft?: string };

export type FromWebview =
  | { type: 'ready' }
  | { type: 'ask'; question: string }
  | { type: 'cancel' }
  | { type: 'open'; turn: number; citation: Citation }
  | { type: 'remedy'; turn: number; remedy: Remedy }
  /** Show the evidence of a sentence, or of an answer. */
  | { type: 'show'; place: EvidencePlace }
  /** The same while the pointer or the focus is there; null: not any more. */
  | { type: 'glance'; place: EvidencePlace | null }
  /** A button of the welcome. */
  | { type: 'command'; command: WelcomeCommand };
