/**
 * The backend's process: serves the protocol on 127.0.0.1, says where in one line on stdout, and lives as long as its
 * parent keeps stdin open.
 */
import { Seen } from './context/seen.ts';
import { Engine } from './engine/engine.ts';
import { log } from './log.ts';
import { storeDirectory } from './paths.ts';
import { PROTOCOL_VERSION, TOKEN_VARIABLE, type Handshake } from './protocol.ts';
import { registerAsk } from './server/ask.ts';
import { registerChanges } from './server/changes.ts';
import { serveConnection } from './server/connection.ts';
import { registerDoctor } from './server/doctor.ts';
import { listen } from './server/listen.ts';
import { registerModels } from './server/models.ts';
import { registerPlan } from './server/plan.ts';
import { registerStore } from './server/store.ts';
import { registerVerify } from './server/verify.ts';

/** How long work under way may take to stop. */
const patienceMs = 3_000;

async function main(): Promise<void> {
  const token = process.env[TOKEN_VARIABLE];
  if (!token) throw new Error(`The environment variable ${TOKEN_VARIABLE} must hold the clients' secret.`);
  // Nothing that the backend starts needs it.
  delete process.env[TOKEN_VARIABLE];

  const engine = new Engine(storeDirectory());
  const seen = new Seen();
  const port = await listen(token, (socket) =>
    serveConnection(socket, (registry) => {
      registerAsk(registry, engine, seen);
      registerChanges(registry, engine, seen);
      registerVerify(registry, engine);
      registerPlan(registry, engine);
      registerModels(registry);
      registerStore(registry);
      registerDoctor(registry);
    }),
  );
  const stop = () => {
    // Loading a model cannot be cancelled, and process.exit would wait for it. The store bears being left in the middle.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), patienceMs).unref();
    void engine.close().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // The end of stdin is how a parent's death is noticed, on every platform and even after kill -9.
  process.stdin.on('error', stop).on('end', stop).on('close', stop).resume();

  const handshake: Handshake = { port, pid: process.pid, protocol: PROTOCOL_VERSION };
  process.stdout.write(`${JSON.stringify(handshake)}\n`);
}

main().catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
