/**
 * Segmented spherical k-means and the summaries of clusters, the specification of native/wave/clusters: float64, plain
 * loops. (RetroInfer, sections 4.2 and 4.6: keys around their mean, strided seeds, unit centroids, a last step that is
 * not normalised. A segment is clustered on its own, with its own mean.)
 */

export const CLUSTER_TOKENS = 16;
export const ITERATIONS = 4;

/** Points in the order of their clusters; cluster c is order[starts[c]] … order[starts[c + 1] - 1]. */
export interface Partition {
  order: ArrayLike<number>;
  starts: ArrayLike<number>;
}

export interface Clustering extends Partition {
  /** Sum of (point - mean) . (unit centroid it went to) in the last iteration: what k-means makes large. */
  objective: number;
  /** Per point: how much larger its best inner product is than its second best. */
  margins: Float64Array;
}

/** Most clusters that n points are put into. */
export function clusterLimit(points: number): number {
  return Math.max(1, Math.floor((points + CLUSTER_TOKENS / 2) / CLUSTER_TOKENS));
}

/** @param x [points][d] */
export function cluster(x: ArrayLike<number>, points: number, d: number): Clustering {
  const m = clusterLimit(points);
  const centred = subtractMean(x, points, d);
  let centroids = new Float64Array(m * d);
  for (let i = 0; i < m; i++) {
    const seed = Math.floor(((2 * i + 1) * points) / (2 * m));
    centroids.set(centred.subarray(seed * d, (seed + 1) * d), i * d);
    normalize(centroids.subarray(i * d, (i + 1) * d));
  }
  let nearest = assign(centred, points, centroids, m, d);
  for (let iteration = 2; iteration <= ITERATIONS; iteration++) {
    centroids = moveCentroids(centred, nearest.best, centroids, m, d);
    nearest = assign(centred, points, centroids, m, d);
  }
  const objective = nearest.products.reduce((a, b) => a + b, 0);
  return { ...partition(nearest.best, m), objective, margins: nearest.margins };
}

/** x around its own mean: what all keys have in common would hide what tells them apart (section 4.2). */
function subtractMean(x: ArrayLike<number>, points: number, d: number): Float64Array {
  const y = Float64Array.from({ length: points * d }, (_, i) => x[i]!);
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let i = 0; i < points; i++) mean += y[i * d + j]! / points;
    for (let i = 0; i < points; i++) y[i * d + j]! -= mean;
  }
  return y;
}

function normalize(x: Float64Array): void {
  const length = Math.hypot(...x);
  if (length > 0) x.forEach((value, i) => (x[i] = value / length));
}

export function dot(a: ArrayLike<number>, aAt: number, b: ArrayLike<number>, bAt: number, d: number): number {
  let sum = 0;
  for (let j = 0; j < d; j++) sum += a[aAt + j]! * b[bAt + j]!;
  return sum;
}

/** Each point's centroid with the largest inner product, the first of equal ones. */
function assign(y: Float64Array, points: number, centroids: Float64Array, m: number, d: number) {
  const best = new Uint32Array(points);
  const products = new Float64Array(points).fill(-Infinity);
  const margins = new Float64Array(points).fill(Infinity);
  for (let i = 0; i < points; i++) {
    for (let c = 0; c < m; c++) {
      const product = dot(y, i * d, centroids, c * d, d);
      if (product > products[i]!) {
        margins[i] = product - products[i]!;
        products[i] = product;
        best[i] = c;
      } else {
        margins[i] = Math.min(margins[i]!, products[i]! - product);
      }
    }
  }
  return { best, products, margins };
}

/** Unit vectors in the direction of the members' means; a centroid without members stays. */
function moveCentroids(
  y: Float64Array,
  nearest: Uint32Array,
  before: Float64Array,
  m: number,
  d: number,
): Float64Array<ArrayBuffer> {
  const sums = new Float64Array(m * d);
  const sizes = new Uint32Array(m);
  nearest.forEach((c, i) => {
    sizes[c]!++;
    for (let j = 0; j < d; j++) sums[c * d + j]! += y[i * d + j]!;
  });
  for (let c = 0; c < m; c++) {
    const centroid = sums.subarray(c * d, (c + 1) * d);
    if (sizes[c] === 0) centroid.set(before.subarray(c * d, (c + 1) * d));
    else normalize(centroid);
  }
  return sums;
}

/** Clusters without members are left out. */
function partition(nearest: Uint32Array, m: number): Partition {
  const order: number[] = [];
  const starts = [0];
  for (let c = 0; c < m; c++) {
    nearest.forEach((own, i) => own === c && order.push(i));
    if (order.length > starts.at(-1)!) starts.push(order.length);
  }
  return { order, starts };
}

/** Stand-ins for sets of tokens: mean key, mean value, number of tokens (RetroInfer's C, VS / s and s). */
export interface Summaries {
  /** [count][dk] */
  keys: Float64Array;
  /** [count][dv] */
  values: Float64Array;
  sizes: number[];
}

export interface Index {
  partition: Partition;
  fine: Summaries;
  coarse: Summaries;
}

/** How an index is built: exactly, or like the native one, with its partitions and its rounding. */
export interface Build {
  cluster: (x: ArrayLike<number>, points: number, d: number) => Partition;
  round: (x: Float64Array) => Float64Array;
}
export const EXACT: Build = { cluster, round: (x) => x };

/**
 * The index of one layer and KV head: clusters of keys, and clusters of their centroids for the gate's background.
 * @param k [tokens][dk]
 * @param v [tokens][dv]
 */
export function buildIndex(
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  dk: number,
  dv: number,
  build = EXACT,
): Index {
  const tokens = k.length / dk;
  const ones = Array.from({ length: tokens }, () => 1);
  const fineParts = build.cluster(k, tokens, dk);
  const fine = summarize({ keys: k, values: v, sizes: ones }, dk, dv, fineParts);
  const coarse = summarize(fine, dk, dv, build.cluster(fine.keys, fine.sizes.length, dk));
  const rounded = ({ keys, values, sizes }: Summaries): Summaries => ({
    keys: build.round(keys),
    values: build.round(values),
    sizes,
  });
  return { partition: fineParts, fine: rounded(fine), coarse: rounded(coarse) };
}

function summarize(
  of: { keys: ArrayLike<number>; values: ArrayLike<number>; sizes: number[] },
  dk: number,
  dv: number,
  { order, starts }: Partition,
): Summaries {
  const count = starts.length - 1;
  const result = {
    keys: new Float64Array(count * dk),
    values: new Float64Array(count * dv),
    sizes: [] as number[],
  };
  for (let c = 0; c < count; c++) {
    const members = Array.from({ length: starts[c + 1]! - starts[c]! }, (_, i) => order[starts[c]! + i]!);
    const size = members.reduce((sum, i) => sum + of.sizes[i]!, 0);
    for (const i of members) {
      const share = of.sizes[i]! / size;
      for (let j = 0; j < dk; j++) result.keys[c * dk + j]! += share * of.keys[i * dk + j]!;
      for (let j = 0; j < dv; j++) result.values[c * dv + j]! += share * of.values[i * dv + j]!;
    }
    result.sizes.push(size);
  }
  return result;
}
