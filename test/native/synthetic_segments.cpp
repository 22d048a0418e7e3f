// Stored segments made up for benchmarks, of any length in no time: nothing that a model has computed.
//
//   synthetic_segments FOLDER LAYERS KV_HEADS HEAD_SIZE KIND:TOKENS:NAME…
//
// whole    random keys around one centre per 16 tokens, random values, F16; indexed and written as the product does.
// outline  a file of the right size in which the index is that of a whole segment with random coarse summaries of its
//          own, and K and V are a hole: for segments that are attended in outline only.
// resampled  runs of tokens out of real segments of the folder, each at its own place or near it; indexed and written
//          as the product does. The real ones are named as donor:0:NAME.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>
#include <wave/resident.h>

namespace {

using Random = std::minstd_rand;
using Bytes = std::vector<uint8_t>;

const std::string kMeta = "{\"synthetic\":true}";

enum class Kind { whole, outline, resampled, donor };

struct Request {
    Kind kind;
    size_t tokens;
    std::string path;
    uint32_t seed;
};

/// Sums of twelve uniform deviates: near enough to normal, and fast.
float normal(Random& random) {
    float sum = -6;
    for (int i = 0; i < 12; i++) sum += static_cast<float>(random() - Random::min()) / static_cast<float>(Random::max());
    return sum;
}

void fill_normal(std::vector<float>& x, Random& random) {
    for (float& value : x) value = normal(random);
}

/// [tokens][d] with `noise` around a centre that changes every 16 tokens.
std::vector<float> clustered(size_t tokens, uint32_t d, float noise, Random& random) {
    std::vector<float> centre(d), x(tokens * d);
    for (size_t t = 0; t < tokens; t++) {
        if (t % wave::kClusterTokens == 0) fill_normal(centre, random);
        for (uint32_t j = 0; j < d; j++) x[t * d + j] = centre[j] + noise * normal(random);
    }
    return x;
}

void write_whole(const wave::KvShape& shape, const Request& request) {
    Random random(request.seed);
    wave::KvTail tail(shape);
    tail.reserve(request.tokens);
    tail.set_tokens(request.tokens);
    const size_t row = static_cast<size_t>(shape.kv_heads) * shape.dk;
    for (uint32_t layer = 0; layer < shape.layers; layer++) {
        const std::vector<float> k = clustered(request.tokens, static_cast<uint32_t>(row), 0.3f, random),
                                 v = clustered(request.tokens, static_cast<uint32_t>(row), 1.0f, random);
        const auto bytes = [](const std::vector<float>& x) { return reinterpret_cast<const uint8_t*>(x.data()); };
        for (uint32_t head = 0; head < shape.kv_heads; head++) {
            tail.write_keys(layer, head, 0, request.tokens, bytes(k), row * sizeof(float));
            tail.write_values(layer, head, 0, request.tokens, bytes(v), row * sizeof(float));
        }
    }
    wave::write_segment(request.path, tail, kMeta, {});
}

/// Real K/V, in the order of its tokens.
struct Donor {
    explicit Donor(const std::string& path) : segment(path), slots(segment, wave::ExactSlots::kAll) {}
    wave::Segment segment;
    wave::ExactSlots slots;

    /// [n][kv_heads][d] of a layer, keys or values, from a token on
    void copy(uint32_t layer, size_t from, size_t n, bool values, float* to) const {
        const wave::KvShape& shape = segment.shape();
        const size_t d = values ? shape.dv : shape.dk, offset = values ? shape.key_bytes() : 0;
        for (uint32_t head = 0; head < shape.kv_heads; head++)
            for (size_t t = 0; t < n; t++) {
                const uint8_t* slot = slots.run(layer * shape.kv_heads + head).slots + (from + t) * shape.slot_bytes();
                wave::kernels().from_f16(reinterpret_cast<const uint16_t*>(slot + offset),
                                         to + (t * shape.kv_heads + head) * d, d);
            }
    }
};
using Donors = std::vector<std::unique_ptr<Donor>>;

void write_resampled(const Request& request, const Donors& donors) {
    constexpr size_t kRun = 32;
    Random random(request.seed);
    const wave::KvShape& shape = donors.front()->segment.shape();
    wave::KvTail tail(shape);
    tail.reserve(request.tokens);
    tail.set_tokens(request.tokens);
    const size_t key_row = static_cast<size_t>(shape.kv_heads) * shape.dk,
                 value_row = static_cast<size_t>(shape.kv_heads) * shape.dv;
    std::vector<float> k(kRun * key_row), v(kRun * value_row);
    const auto bytes = [](const std::vector<float>& x) { return reinterpret_cast<const uint8_t*>(x.data()); };
    for (size_t at = 0, n; at < request.tokens; at += n) {
        const Donor& donor = *donors[random() % donors.size()];
        n = std::min({kRun, request.tokens - at, donor.segment.tokens()});
        const size_t from = at % (donor.segment.tokens() - n + 1);
        for (uint32_t layer = 0; layer < shape.layers; layer++) {
            donor.copy(layer, from, n, false, k.data());
            donor.copy(layer, from, n, true, v.data());
            for (uint32_t head = 0; head < shape.kv_heads; head++) {
                tail.write_keys(layer, head, at, n, bytes(k), key_row * sizeof(float));
                tail.write_values(layer, head, at, n, bytes(v), value_row * sizeof(float));
            }
        }
    }
    std::vector<bool> without_index;
    for (uint32_t layer = 0; layer < shape.layers; layer++)
        without_index.push_back(!donors.front()->segment.has_index(layer));
    wave::write_segment(request.path, tail, kMeta, {1, without_index});
}

/// All of a whole segment's file that comes before its K and V.
Bytes index_of(const wave::KvShape& shape, size_t tokens, const std::string& folder) {
    const Request request{Kind::whole, tokens, folder + "/template", static_cast<uint32_t>(tokens)};
    write_whole(shape, request);
    Bytes bytes(wave::Layout(shape, tokens, kMeta.size(), false).data);
    std::FILE* file = std::fopen(request.path.c_str(), "rb");
    const bool read = file && std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size();
    if (file) std::fclose(file);
    std::filesystem::remove(request.path);
    if (!read) throw std::runtime_error(request.path + " cannot be read back");
    return bytes;
}

void write_outline(const wave::KvShape& shape, const Request& request, Bytes front) {
    const wave::Layout at(shape, request.tokens, kMeta.size(), false);
    Random random(request.seed);
    std::vector<float> values(at.coarse_sizes / sizeof(uint16_t));
    auto* entries = reinterpret_cast<wave::TableEntry*>(front.data() + at.table);
    const Bytes hole(at.data_stride);
    for (uint32_t i = 0; i < shape.heads(); i++) {
        fill_normal(values, random);
        auto* summaries = reinterpret_cast<uint16_t*>(front.data() + at.coarse + i * at.coarse_stride);
        wave::kernels().to_f16(values.data(), summaries, values.size());
        entries[i].checksum = wave::crc32c(hole.data(), hole.size());
    }
    auto& page = *reinterpret_cast<wave::HeaderPage*>(front.data());
    page.header.table = wave::crc32c(front.data() + at.table, at.coarse - at.table);
    page.header.coarse = wave::crc32c(front.data() + at.coarse, at.order - at.coarse);
    page.checksum = page.expected();
    const int fd = ::open(request.path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    const bool written = fd >= 0 && ::ftruncate(fd, static_cast<off_t>(at.end)) == 0 &&
                         ::pwrite(fd, front.data(), front.size(), 0) == static_cast<ssize_t>(front.size());
    if (fd >= 0) ::close(fd);
    if (!written) throw std::runtime_error(request.path + " cannot be written");
}

/// work(i) for i below n, on all processors.
template <class Work> void in_parallel(size_t n, Work work) {
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); t++)
        threads.emplace_back([&] {
            try {
                for (size_t i; (i = next.fetch_add(1)) < n;) work(i);
            } catch (...) {
                const std::lock_guard lock(mutex);
                failure = std::current_exception();
            }
        });
    for (std::thread& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
}

Request parse(const std::string& text, const std::string& folder, uint32_t seed) {
    const size_t first = text.find(':'), second = text.find(':', first + 1);
    if (second == std::string::npos) throw std::invalid_argument(text + " is not KIND:TOKENS:NAME");
    static const std::map<std::string, Kind> kinds{{"whole", Kind::whole},
                                                   {"outline", Kind::outline},
                                                   {"resampled", Kind::resampled},
                                                   {"donor", Kind::donor}};
    const auto kind = kinds.find(text.substr(0, first));
    if (kind == kinds.end()) throw std::invalid_argument("no kind " + text);
    return {kind->second, std::stoul(text.substr(first + 1)), folder + "/" + text.substr(second + 1), seed};
}

void run(const std::string& folder, const wave::KvShape& shape, const std::vector<std::string>& texts) {
    std::vector<Request> requests;
    std::map<size_t, Bytes> indexes; ///< per length of an outline
    Donors donors;
    for (const std::string& text : texts) {
        requests.push_back(parse(text, folder, static_cast<uint32_t>(requests.size() + 1)));
        if (requests.back().kind == Kind::outline) indexes.try_emplace(requests.back().tokens);
        if (requests.back().kind == Kind::donor) donors.push_back(std::make_unique<Donor>(requests.back().path));
    }
    for (auto& [tokens, index] : indexes) index = index_of(shape, tokens, folder);
    in_parallel(requests.size(), [&](size_t i) {
        const Request& request = requests[i];
        if (request.kind == Kind::whole) write_whole(shape, request);
        if (request.kind == Kind::outline) write_outline(shape, request, indexes.at(request.tokens));
        if (request.kind == Kind::resampled) write_resampled(request, donors);
    });
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    const auto number = [&](int i) { return static_cast<uint32_t>(std::atoi(argv[i])); };
    try {
        run(argv[1], {number(2), number(3), number(4), number(4), wave::DType::f16}, {argv + 5, argv + argc});
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "synthetic_segments: %s\n", error.what());
        return 1;
    }
}
