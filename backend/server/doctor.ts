import { doctor } from '../doctor.ts';
import { modelsDirectory } from '../models/download.ts';
import { storeDirectory } from '../paths.ts';
import { DoctorRequest } from '../protocol.ts';
import type { Registry } from './connection.ts';

export function registerDoctor(registry: Registry): void {
  registry.on0(DoctorRequest, () =>
    doctor({ modelsDirectory: modelsDirectory(), storeDirectory: storeDirectory() }),
  );
}
