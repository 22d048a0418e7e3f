/**
 * Everything that is said between the backend and its clients (the extension, the command line, tests):
 * JSON-RPC 2.0 with Content-Length framing over a WebSocket on 127.0.0.1. The first message is LSP's
 * `initialize` with {@link InitializeOptions} as `initializationOptions`; the rest is below.
 */
import { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type {
  AskParams,
  AskResult,
  FindParams,
  FindResult,
  VerifyAnswerParams,
  VerifyAnswerResult,
} from './protocol/answer.ts';
import type { ErrorData } from './protocol/errors.ts';
import type {
  DownloadParams,
  ModelCheck,
  ModelInfo,
  ModelParams,
  ProbeParams,
  ProbeReport,
} from './protocol/models.ts';
import type {
  ChangesParams,
  ChangesReport,
  IndexParams,
  IndexResult,
  MemoryState,
  PlanParams,
  PlanReport,
} from './protocol/repository.ts';
import type {
  Check,
  PruneParams,
  PruneReport,
  StoreReport,
  VerifyParams,
  VerifyReport,
} from './protocol/store.ts';

export * from './protocol/answer.ts';
export * from './protocol/errors.ts';
export * from './protocol/models.ts';
export * from './protocol/progress.ts';
export * from './protocol/repository.ts';
export * from './protocol/store.ts';

/** Raised when a message changes its meaning. Client and backend must have the same one. */
export const PROTOCOL_VERSION = 3;

/** The one line that the backend prints on stdout when it listens. */
export interface Handshake {
  port: number;
  pid: number;
  protocol: number;
  /** Of a backend that is shared, where another one than the one that was started may answer. */
  token?: string;
}

/** Environment variable with the secret that the client sends as `Authorization: Bearer …`. */
export const TOKEN_VARIABLE = 'REPOWAVE_TOKEN';
/** Environment variable with HOST:PORT to listen on. Default: this machine only, any free port. */
export const LISTEN_VARIABLE = 'REPOWAVE_LISTEN';
/**
 * Environment variable with a file: the backend is shared by all who name the same one. It then lives until its last
 * client has gone, however its parent fares.
 */
export const SHARE_VARIABLE = 'REPOWAVE_SHARE';
/** For how many seconds a shared backend stays without clients: a window that is loaded again finds it warm. */
export const LINGER_VARIABLE = 'REPOWAVE_LINGER';

export interface InitializeOptions {
  protocol: number;
}

// --- requests

export const AskRequest = new RequestType<AskParams, AskResult, ErrorData>('repowave/ask');
export const FindRequest = new RequestType<FindParams, FindResult, ErrorData>('repowave/find');
export const IndexRequest = new RequestType<IndexParams, IndexResult, ErrorData>('repowave/index');
export const VerifyAnswerRequest = new RequestType<VerifyAnswerParams, VerifyAnswerResult, ErrorData>(
  'repowave/verify',
);
export const ChangesRequest = new RequestType<ChangesParams, ChangesReport, ErrorData>('repowave/changes');
export const PlanRequest = new RequestType<PlanParams, PlanReport, ErrorData>('repowave/plan');
export const ModelsRequest = new RequestType0<ModelInfo[], ErrorData>('repowave/models');
export const DownloadRequest = new RequestType<DownloadParams, ModelInfo, ErrorData>(
  'repowave/models/download',
);
export const VerifyModelRequest = new RequestType<ModelParams, ModelCheck, ErrorData>(
  'repowave/models/verify',
);
export const RemoveModelRequest = new RequestType<ModelParams, ModelInfo, ErrorData>(
  'repowave/models/remove',
);
export const ProbeRequest = new RequestType<ProbeParams, ProbeReport, ErrorData>('repowave/probe');
export const MemoryRequest = new RequestType0<MemoryState, ErrorData>('repowave/memory');
export const StoreRequest = new RequestType0<StoreReport, ErrorData>('repowave/store');
export const VerifyRequest = new RequestType<VerifyParams, VerifyReport, ErrorData>('repowave/store/verify');
export const PruneRequest = new RequestType<PruneParams, PruneReport, ErrorData>('repowave/store/prune');
export const DoctorRequest = new RequestType0<Check[], ErrorData>('repowave/doctor');
