/** What can be asked about a tree: each suite makes its corpus, of one length or more. */
import {
  needleTypes,
  plant,
  questionTypes,
  repositoryTypes,
  rulerTypes,
  type Corpus,
  type QuestionType,
  type TreeOptions,
} from './corpus.ts';
import { needles } from './needles.ts';
import type { Size } from './packages.ts';
import { repository } from './repository.ts';
import { ruler } from './ruler.ts';

export interface Suite {
  make: (options: TreeOptions) => Promise<Corpus>;
  types: readonly QuestionType[];
  /** What `--tokens` is without being given; 0 where the tree has its own length. */
  tokens: string;
  /** Of each type, as many as there are of them, without `--questions`. */
  questions: string;
  /** The pinned repository that stands in for `--repo`. */
  package?: Size;
}

export const planted: Suite = { make: plant, types: questionTypes, tokens: '16000', questions: '12' };
export const suites: Record<string, Suite> = {
  needles: { make: needles, types: needleTypes, tokens: '8000,32000', questions: '12', package: 'large' },
  repository: { make: repository, types: repositoryTypes, tokens: '0', questions: '15', package: 'small' },
  ruler: { make: ruler, types: rulerTypes, tokens: '8000,32000', questions: '12', package: 'large' },
};

/** Exact attention, the wave index at two budgets, the product, and what people use instead. */
export const peers = [
  'exact',
  'all-wave:inside=wave:0.02/1024',
  'all-wave:inside=wave:0.1/1024',
  'gate-auto:paths=yes',
  'gate-auto:inside=wave:0.02/1024,others=coarse:-4,paths=yes',
  'cut',
  'bm25',
  'rag',
].join(',');
