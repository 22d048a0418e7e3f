/**
 * One set-up at a time: a lock file with the processes at work, one a line. It holds while one of them lives, so that
 * after a set-up that was killed hard the next one waits for what that had started.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 200;

/** @typedef {{ add: (pid: number) => void, release: () => void }} Lock `add` names a child process that works under it */

/**
 * @param {string} file
 * @param {(pid: number) => void} onWait called once if another process holds the lock
 * @returns {Promise<Lock>}
 */
export async function acquireLock(file, onWait) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  let told = false;
  for (;;) {
    if (create(file)) return held(file);
    const found = read(file);
    const holder = found
      .split('\n')
      .filter(Boolean)
      .find((line) => identity(Number(line.split(' ')[0])) === `${line}\n`);
    if (found !== '' && holder === undefined) {
      takeAway(file, found);
      continue;
    }
    if (holder !== undefined && !told) onWait(Number(holder.split(' ')[0]));
    told ||= holder !== undefined;
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Linked into place, so that it is never seen without its content. @param {string} file @returns {boolean} whether it was not there */
function create(file) {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, identity(process.pid));
  try {
    fs.linkSync(draft, file);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(draft);
  }
}

/** @param {string} file @returns {Lock} */
function held(file) {
  const remove = () => fs.rmSync(file, { force: true });
  process.once('exit', remove);
  return {
    add: (pid) => fs.appendFileSync(file, identity(pid)),
    release: () => {
      process.off('exit', remove);
      remove();
    },
  };
}

/** Pid and start time: a pid alone may belong to another process by now. @param {number} pid @returns {string} one line, empty when it is gone */
function identity(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold spaces; the start time is the 20th field behind it.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}\n`;
  } catch {
    return '';
  }
}

/** @param {string} file @returns {string} */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Of several processes that find the same stale lock only one can rename it. @param {string} file @param {string} stale */
function takeAway(file, stale) {
  const aside = `${file}.${process.pid}`;
  try {
    fs.renameSync(file, aside);
    // Another process was quicker and the lock is a fresh one: put it back.
    if (read(aside) !== stale) fs.linkSync(aside, file);
    fs.rmSync(aside);
  } catch {
    // Another process has taken it away; the caller looks again.
  }
}
