/** Child processes that end when set-up ends: each runs in a process group of its own. */
import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';

/** @type {NodeJS.Signals[]} */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Emits `child` with the pid of each that is captured. */
export const started = new EventEmitter();

/** Ends every child and what the children have started. */
export function endChildren() {
  for (const child of running) {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It has ended by itself.
    }
  }
}

/**
 * Ctrl+C, SIGTERM and a closed terminal end the children, then this process, with the exit code of a shell.
 * @returns {() => void} gives the signals back
 */
export function endOnSignals() {
  /** @param {NodeJS.Signals} signal */
  const stop = (signal) => {
    endChildren();
    process.stderr.write('\nInterrupted. Run the same command again to go on.\n');
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of ENDING) process.on(signal, stop);
  return () => ENDING.forEach((signal) => void process.off(signal, stop));
}

/**
 * Runs a command and collects what it says; never throws for its exit code. A command that is not there has code 127.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void, onStart?: (pid: number) => void }} [options]
 *   `onLine` gets every line of stdout and stderr, carriage returns ending a line too
 * @returns {Promise<{ code: number, output: string }>}
 */
export function capture(command, args, { cwd, env, onLine, onStart } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    running.add(child);
    if (child.pid !== undefined) {
      started.emit('child', child.pid);
      onStart?.(child.pid);
    }
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output += text;
        const lines = (rest + text).split(/[\r\n]/);
        rest = lines.pop() ?? '';
        for (const line of lines) onLine?.(line);
      });
    }
    child.on('error', () => {
      running.delete(child);
      resolve({ code: 127, output });
    });
    child.on('close', (code) => {
      running.delete(child);
      resolve({ code: code ?? 1, output });
    });
  });
}

/**
 * Runs a command in the terminal of this process: same input, output and signals.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {'inherit' | 'ignore'} [stdout] whether its output is shown
 * @returns {Promise<number>} its exit code
 */
export function attach(command, args, stdout = 'inherit') {
  const child = spawn(command, args, { stdio: ['inherit', stdout, 'inherit'] });
  // The terminal's Ctrl+C reaches the child by itself; a signal sent to this process alone does not.
  const forward = () => void child.kill('SIGTERM');
  const ignore = () => undefined;
  process.on('SIGTERM', forward).on('SIGINT', ignore);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGTERM', forward).off('SIGINT', ignore);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}
