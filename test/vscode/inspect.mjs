// @ts-check
/** Looks into a Node process that runs, through its inspector. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

/** Where Node's inspector listens once a process is told to open it. */
const PORT = 9229;

/** @param {number} pid */
export const parentOf = (pid) =>
  Number(/^PPid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/**
 * Opens the inspector of a process. It fails where another process is being debugged.
 * @param {number} pid
 */
export async function attachToProcess(pid) {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await inspectorUrl());
  await once(socket, 'open');
  let calls = 0;
  /** @param {string} method @param {object} [params] @returns {Promise<any>} */
  const call = (method, params) =>
    new Promise((resolve, reject) => {
      const id = ++calls;
      const hear = (/** @type {import('ws').RawData} */ data) => {
        const message = JSON.parse(String(data));
        if (message.id !== id) return;
        socket.off('message', hear);
        if (message.error) reject(new Error(message.error.message));
        else resolve(message.result);
      };
      socket.on('message', hear);
      socket.send(JSON.stringify({ id, method, params }));
    });
  const evaluate = async (/** @type {string} */ expression) =>
    (await call('Runtime.evaluate', { expression })).result.value;
  assert.equal(await evaluate('process.pid'), pid, `another process listens on port ${PORT}`);
  return {
    /** @returns {Promise<NodeJS.MemoryUsage>} */
    memory: async () => JSON.parse(await evaluate('JSON.stringify(process.memoryUsage())')),
    /** Twice: what the first run frees lets go of more. */
    async collectGarbage() {
      for (let i = 0; i < 2; i++) await call('HeapProfiler.collectGarbage');
    },
    close: () => socket.close(),
  };
}

/** @returns {Promise<string>} */
async function inspectorUrl() {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/json/list`).catch(() => undefined);
    if (answer) return (await answer.json())[0].webSocketDebuggerUrl;
    await sleep(100);
  }
  throw new Error(`No inspector answers at port ${PORT}.`);
}
