/**
 * The backend's process: serves the protocol, says where in one line on stdout, and lives as long as its parent keeps
 * stdin open or, when it is shared, as long as it has clients.
 */
import { Seen } from './context/seen.ts';
import { Engine } from './engine/engine.ts';
import { log } from './log.ts';
import { storeDirectory } from './paths.ts';
import {
  LINGER_VARIABLE,
  LISTEN_VARIABLE,
  PROTOCOL_VERSION,
  SHARE_VARIABLE,
  TOKEN_VARIABLE,
  type Handshake,
} from './protocol.ts';
import { registerAsk } from './server/ask.ts';
import { registerChanges } from './server/changes.ts';
import { serveConnection } from './server/connection.ts';
import { registerDoctor } from './server/doctor.ts';
import { listen, parseAddress } from './server/listen.ts';
import { registerMemory } from './server/memory.ts';
import { registerModels } from './server/models.ts';
import { registerPlan } from './server/plan.ts';
import { Clients, publish, unpublish } from './server/share.ts';
import { registerStore } from './server/store.ts';
import { registerVerify } from './server/verify.ts';

/** How long work under way may take to stop. */
const patienceMs = 3_000;
const usualLingerSeconds = 60;

async function main(): Promise<void> {
  const token = process.env[TOKEN_VARIABLE];
  if (!token) throw new Error(`The environment variable ${TOKEN_VARIABLE} must hold the clients' secret.`);
  const share = process.env[SHARE_VARIABLE];
  const lingerMs = 1000 * Number(process.env[LINGER_VARIABLE] ?? usualLingerSeconds);
  // Nothing that the backend starts needs them.
  delete process.env[TOKEN_VARIABLE];
  delete process.env[SHARE_VARIABLE];

  const engine = new Engine(storeDirectory());
  const seen = new Seen();
  const stop = () => {
    // Loading a model cannot be cancelled, and process.exit would wait for it. The store bears being left in the middle.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), patienceMs).unref();
    void Promise.all([engine.close(), share && unpublish(share)]).finally(() => process.exit(0));
  };
  const clients = share ? new Clients(lingerMs, stop) : undefined;
  const port = await listen(token, parseAddress(process.env[LISTEN_VARIABLE]), (socket) => {
    clients?.add(socket);
    serveConnection(socket, (registry) => {
      registerAsk(registry, engine, seen);
      registerChanges(registry, engine, seen);
      registerVerify(registry, engine);
      registerPlan(registry, engine);
      registerModels(registry);
      registerMemory(registry);
      registerStore(registry);
      registerDoctor(registry);
    });
  });
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const mine: Handshake = { port, pid: process.pid, protocol: PROTOCOL_VERSION };
  if (share) {
    // The window that has started this process, and read what it says, may be the first to go.
    for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
    const chosen = await publish(share, { ...mine, token });
    process.stdout.write(`${JSON.stringify(chosen)}\n`, () => chosen.pid === process.pid || process.exit(0));
    return;
  }
  // The end of stdin is how a parent's death is noticed, on every platform and even after kill -9.
  process.stdin.on('error', stop).on('end', stop).on('close', stop).resume();
  process.stdout.write(`${JSON.stringify(mine)}\n`);
}

main().catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
