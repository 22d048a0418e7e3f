#!/usr/bin/env python3
"""Decode attention by RepoWave's kernels beside exact attention by PyTorch (and flash-attn, where it is installed), on the
same tensors: synthetic K and V with topics, a steady zone, and an index by the method's k-means (docs/method.md).

Prints one line of JSON for each length and batch: milliseconds a layer as minimum, median and maximum, and how far the
result is from exact attention. What does not fit the memory, or is not installed, is named as not run. `--device cpu`
takes a library that was compiled for the emulator: that checks this program, and times nothing of interest.
"""
import argparse
import ctypes
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

HEAD_SIZE, KV_HEADS, GROUP = 128, 8, 4
SEGMENT, CLUSTER, ITERATIONS = 4096, 16, 4  # tokens, tokens, k-means
STEADY = 608  # sinks, question and answer so far
TOPIC = 256  # tokens that are about the same


class CompareLayer(ctypes.Structure):
    """As in compare.cu."""

    _fields_ = (
        [(name, ctypes.c_int) for name in ("head_size", "kv_heads", "group", "clusters", "tokens", "steady")]
        + [(name, ctypes.c_void_p) for name in ("slots", "steady_slots", "keys", "values", "log_sizes", "sizes")]
        + [(name, ctypes.c_int) for name in ("budget", "processors")]
    )


def open_library(path):
    library = ctypes.CDLL(path)
    pointer = ctypes.c_void_p
    library.compare_open.restype = pointer
    library.compare_open.argtypes = [ctypes.POINTER(CompareLayer)]
    library.compare_step.argtypes = [pointer] * 4
    library.compare_report.argtypes = [pointer, ctypes.POINTER(ctypes.c_ulonglong)]
    library.compare_close.argtypes = [pointer]
    library.compare_error.restype = ctypes.c_char_p
    return library


def partition(keys, clusters):
    """Spherical k-means around the segment's own mean. keys [heads, n, D] -> cluster of each token [heads, n]"""
    unit = F.normalize(keys - keys.mean(1, keepdim=True), dim=-1)
    centroids = unit[:, :: keys.shape[1] // clusters][:, :clusters]
    for _ in range(ITERATIONS):
        nearest = (unit @ centroids.transpose(1, 2)).argmax(-1)
        sums = torch.zeros_like(centroids).scatter_add_(1, nearest[..., None].expand_as(unit), unit)
        centroids = F.normalize(sums, dim=-1)
    return nearest


class Layer:
    """K and V of one layer twice: as PyTorch attends to them, and cluster by cluster with their index."""

    def __init__(self, options, tokens, batch, seed):
        heads, self.tokens = batch * KV_HEADS, tokens
        where = {"device": options.device}
        half = {"dtype": torch.float16, **where}
        random = torch.Generator(**where).manual_seed(seed)
        clusters = tokens // CLUSTER
        self.keys = torch.empty(heads, tokens + STEADY, HEAD_SIZE, **half)
        self.values = torch.empty(heads, tokens + STEADY, HEAD_SIZE, **half)
        self.slots = torch.empty(heads, tokens, 2, HEAD_SIZE, **half)
        self.mean_keys = torch.empty(heads, clusters, HEAD_SIZE, **half)
        self.mean_values = torch.empty(heads, clusters, HEAD_SIZE, **half)
        self.sizes = torch.empty(heads, clusters, dtype=torch.int32, **where)
        noise = lambda *shape: torch.randn(*shape, generator=random, **where)
        offset = noise(heads, 1, HEAD_SIZE)
        for first in range(0, tokens, SEGMENT):
            length = min(SEGMENT, tokens - first)
            topics = noise(heads, (length + TOPIC - 1) // TOPIC, HEAD_SIZE).repeat_interleave(TOPIC, 1)[:, :length]
            self.store(first, offset + topics + noise(heads, length, HEAD_SIZE), noise(heads, length, HEAD_SIZE))
        self.keys[:, tokens:] = offset + noise(heads, STEADY, HEAD_SIZE)
        self.values[:, tokens:] = noise(heads, STEADY, HEAD_SIZE)
        self.steady = torch.stack([self.keys[:, tokens:], self.values[:, tokens:]], 2).contiguous()
        self.log_sizes = self.sizes.float().log()
        # Each query looks for a token that is there.
        wanted = torch.randint(tokens, (heads, GROUP), generator=random, **where)
        found = self.keys.gather(1, wanted[..., None].expand(-1, -1, HEAD_SIZE)).float()
        self.q = (found - offset) * 0.6 + 0.3 * noise(heads, GROUP, HEAD_SIZE)
        self.out = torch.empty(heads, GROUP, HEAD_SIZE, **where)

    def store(self, first, keys, values):
        heads, length, _ = keys.shape
        keys, values = keys.half(), values.half()
        self.keys[:, first : first + length], self.values[:, first : first + length] = keys, values
        clusters = length // CLUSTER
        nearest = partition(keys.float(), clusters)
        order = nearest.argsort(dim=1, stable=True)[..., None].expand(-1, -1, HEAD_SIZE)
        self.slots[:, first : first + length, 0] = keys.gather(1, order)
        self.slots[:, first : first + length, 1] = values.gather(1, order)
        at = slice(first // CLUSTER, first // CLUSTER + clusters)
        sizes = torch.zeros(heads, clusters, dtype=torch.int32, device=keys.device)
        sizes.scatter_add_(1, nearest, torch.ones_like(nearest, dtype=torch.int32))
        self.sizes[:, at] = sizes
        share = 1 / sizes.clamp(min=1)[..., None]
        for means, of in ((self.mean_keys, keys), (self.mean_values, values)):
            sums = torch.zeros(heads, clusters, HEAD_SIZE, device=keys.device)
            means[:, at] = (sums.scatter_add_(1, nearest[..., None].expand_as(of), of.float()) * share).half()

    def budget(self, share):
        return max(1024, int(self.tokens * share))

    def open(self, library, share, processors):
        self.host_sizes = self.sizes.cpu()
        layer = CompareLayer(
            *(HEAD_SIZE, self.keys.shape[0], GROUP, self.sizes.shape[1], self.tokens, STEADY),
            *(self.slots.data_ptr(), self.steady.data_ptr(), self.mean_keys.data_ptr(), self.mean_values.data_ptr()),
            *(self.log_sizes.data_ptr(), self.host_sizes.data_ptr(), self.budget(share), processors),
        )
        self.opened = library.compare_open(ctypes.byref(layer))
        if not self.opened:
            raise torch.cuda.OutOfMemoryError("no room for a step")

    def batched(self, x, batch):
        return x.view(batch, KV_HEADS, *x.shape[1:])


def exact_ways(options):
    """Names of PyTorch's ways to attend, and what they do; a group of query heads goes in as so many queries."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def sdpa(backend):
        def attend(layer, batch):
            with sdpa_kernel(backend):
                q, k, v = (layer.batched(x, batch) for x in (layer.q.half(), layer.keys, layer.values))
                return F.scaled_dot_product_attention(q, k, v)

        return attend

    if options.device == "cpu":
        return {"math": sdpa(SDPBackend.MATH)}
    ways = {
        "sdpa, flash": sdpa(SDPBackend.FLASH_ATTENTION),
        "sdpa, memory efficient": sdpa(SDPBackend.EFFICIENT_ATTENTION),
        "sdpa, cuDNN": sdpa(SDPBackend.CUDNN_ATTENTION),
    }
    try:
        from flash_attn import flash_attn_with_kvcache
    except ImportError:
        ways["flash-attn with a K/V cache"] = None
        return ways

    def flash(layer, batch):
        q, k, v = (layer.batched(x, batch) for x in (layer.q.half(), layer.keys, layer.values))
        # [batch, 1, query heads, D] and [batch, tokens, KV heads, D]
        q = q.reshape(batch, 1, KV_HEADS * GROUP, HEAD_SIZE)
        return flash_attn_with_kvcache(q, k.transpose(1, 2), v.transpose(1, 2)).view(batch, KV_HEADS, GROUP, -1)

    ways["flash-attn with a K/V cache"] = flash
    return ways


def times(options, work):
    """Milliseconds of `work`, which takes all layers once: on a GPU as a CUDA graph."""
    work()
    taken = []
    if options.device == "cpu":
        for _ in range(options.rounds):
            begin = time.perf_counter()
            work()
            taken.append((time.perf_counter() - begin) * 1000)
        return taken
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    for _ in range(options.rounds):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        graph.replay()
        after.record()
        after.synchronize()
        taken.append(before.elapsed_time(after))
    return taken


def spread(taken, layers):
    return [round(x / layers, 4) for x in (min(taken), statistics.median(taken), max(taken))]


def layers_that_fit(options, tokens, batch):
    """So many that no cache of the device holds what a layer reads when its turn comes again."""
    if options.device == "cpu":
        return 1
    each = batch * KV_HEADS * (tokens + STEADY) * HEAD_SIZE * 2 * 2
    free, _ = torch.cuda.mem_get_info()
    return min(32, int(0.9 * free // (2.2 * each)))


def compare(options, library, tokens, batch):
    count = layers_that_fit(options, tokens, batch)
    if count < 1:
        return {"notRun": "K and V of one layer do not fit the memory twice"}
    processors = 16 if options.device == "cpu" else torch.cuda.get_device_properties(0).multi_processor_count
    layers = [Layer(options, tokens, batch, seed) for seed in range(count)]
    for layer in layers:
        layer.open(library, options.share, processors)

    def wave():
        stream = None if options.device == "cpu" else torch.cuda.current_stream().cuda_stream
        for layer in layers:
            error = library.compare_step(layer.opened, layer.q.data_ptr(), layer.out.data_ptr(), stream)
            if error:
                raise RuntimeError(library.compare_error(error).decode())

    ours = spread(times(options, wave), count)
    ways, reference = {}, None
    for name, attend in exact_ways(options).items():
        if attend is None:
            ways[name] = "not installed"
            continue
        try:
            ways[name] = spread(times(options, lambda: [attend(layer, batch) for layer in layers]), count)
            reference = attend
        except RuntimeError as error:
            ways[name] = f"not run: {str(error).splitlines()[0]}"
    chosen = ctypes.c_ulonglong()
    for layer in layers:
        if error := library.compare_report(layer.opened, ctypes.byref(chosen)):
            raise RuntimeError(library.compare_error(error).decode())
    differences = []
    for layer in layers if reference else []:
        exact = reference(layer, batch).float().reshape(layer.out.shape)
        differences.append(float((layer.out - exact).norm() / exact.norm()))
    best = min((way[1] for way in ways.values() if isinstance(way, list)), default=None)
    for layer in layers:
        library.compare_close(layer.opened)
    return {
        **{"layers": count, "budget": layers[0].budget(options.share)},
        **{"msPerLayer": {"RepoWave": ours, **ways}},
        **{"timesFaster": best and round(best / ours[1], 2)},
        **{"relativeL2": differences and round(statistics.median(differences), 4)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="compare.cu, compiled")
    parser.add_argument("--tokens", default="32768,131072,524288,1048576")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--share", type=float, default=0.02, help="of the tokens that are retrieved; at least 1,024")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    library = open_library(options.library)
    device = "emulated" if options.device == "cpu" else torch.cuda.get_device_name(0)
    for batch in map(int, options.batch.split(",")):
        for tokens in map(int, options.tokens.split(",")):
            conditions = {"what": "compare", "device": device, "torch": torch.__version__}
            conditions.update({"tokens": tokens, "batch": batch, "shape": [KV_HEADS, GROUP, HEAD_SIZE]})
            try:
                result = compare(options, library, tokens, batch)
            except torch.cuda.OutOfMemoryError:
                result = {"notRun": "out of memory"}
            print(json.dumps({**conditions, **result}), flush=True)
            if options.device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
