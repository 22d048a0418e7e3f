// @ts-check
/** The part of the backend without a model that speaks about models and the machine. */
import os from 'node:os';
import path from 'node:path';
import { ResponseError } from 'vscode-jsonrpc/node';
import {
  DoctorRequest,
  DownloadRequest,
  ErrorCode,
  ModelsRequest,
  ProbeRequest,
  RemoveModelRequest,
  VerifyModelRequest,
} from '../../backend/protocol.ts';

/** @import { ModelInfo, Progress, ProgressParams } from '../../backend/protocol.ts' */
/** @import { MessageConnection } from 'vscode-jsonrpc/node' */

const TERMS = 'https://terms.example/closed';
const common = { bytes: 491_000_000, licence: 'Apache-2.0', terms: null, trainedContext: 32_768 };

/** @type {ModelInfo[]} */
const models = [
  { ...common, id: 'usual', name: 'Usual 0.5B', default: true, path: null },
  { ...common, id: 'slow', name: 'Slow 1.5B', default: false, path: null },
  { ...common, id: 'tiny', name: 'Tiny 1M', default: false, path: '/models/tiny.gguf' },
  {
    ...{ ...common, id: 'closed', name: 'Closed 270M', default: false, path: null },
    ...{ licence: `Closed Terms (${TERMS})`, terms: TERMS },
  },
];

const checks = [
  { name: 'Memory', ok: true, detail: '8 GB, 4 GB of it free' },
  { name: 'Models', ok: false, detail: `none in ${os.homedir()}/models` },
];

/** @param {string} id */
function modelOf(id) {
  const model = models.find((each) => each.id === id);
  if (!model) throw refusal('modelUnknown', `There is no model called ${id}.`);
  return model;
}

/** @param {keyof typeof ErrorCode} name @param {string} message */
const refusal = (name, message) => new ResponseError(ErrorCode[name], message, { name });

/**
 * @param {MessageConnection} connection
 * @param {(params: ProgressParams, value: Progress) => Promise<void>} report
 */
export function registerModels(connection, report) {
  connection.onRequest(ModelsRequest.method, () => models);
  connection.onRequest(DoctorRequest.method, () => checks);
  connection.onRequest(ProbeRequest, ({ root }) => ({
    checks,
    sourceBytes: root ? 350_000 : null,
    prefillRates: { usual: 100, slow: 40 },
  }));
  connection.onRequest(VerifyModelRequest, ({ id }) => ({
    state: path.isAbsolute(id) || modelOf(id).path ? 'verified' : 'absent',
  }));
  connection.onRequest(RemoveModelRequest, ({ id }) => Object.assign(modelOf(id), { path: null }));
  connection.onRequest(DownloadRequest, async (params, cancellation) => {
    const model = modelOf(params.id);
    if (model.terms && !params.acceptLicence) throw refusal('licence', `${model.name} is not open source.`);
    await report(params, { kind: 'phase', phase: 'download', done: 206_220_000, total: model.bytes });
    if (model.id === 'slow') {
      await new Promise((resolve) => cancellation.onCancellationRequested(resolve));
      throw refusal('cancelled', 'Cancelled.');
    }
    return Object.assign(model, { path: `/models/${model.id}.gguf` });
  });
}
