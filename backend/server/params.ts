/** What every request of a family must look like. */
import path from 'node:path';
import { z } from 'zod';

export const progressFields = { partialResultToken: z.union([z.string(), z.number()]).optional() };

export const repositoryFields = {
  root: z.string().refine((root) => path.isAbsolute(root), 'must be an absolute path'),
  model: z.string().min(1).optional(),
  mode: z.enum(['auto', 'exact', 'wave']).optional(),
  kv: z.enum(['f16', 'q8']).optional(),
  include: z.array(z.string()).optional(),
  exclude: z.array(z.string()).optional(),
  ramBytes: z.number().positive().optional(),
  gpu: z.enum(['off', 'auto']).optional(),
  gpuBytes: z.number().positive().optional(),
  diskBytes: z.number().positive().optional(),
  focus: z.array(z.string()).optional(),
};
