import { z } from 'zod';
import { planContext } from '../context/plan.ts';
import type { Engine } from '../engine/engine.ts';
import { PlanRequest } from '../protocol.ts';
import type { Registry } from './connection.ts';
import { progressFields, repositoryFields } from './params.ts';

export function registerPlan(registry: Registry, engine: Engine): void {
  registry.on(PlanRequest, z.object({ ...repositoryFields, ...progressFields }), (params, call) =>
    planContext(engine, params, call),
  );
}
