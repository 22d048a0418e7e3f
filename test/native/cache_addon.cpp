// Hands the block cache and its checksum to the tests in TypeScript.
#include "wave/block_cache.h"
#include "wave/checksum.h"

#include <cstring>
#include <map>
#include <memory>
#include <napi.h>
#include <string>

namespace {

template <class Element> Napi::Value array_of(Napi::Env env, const std::vector<Element>& list) {
    auto array = Napi::TypedArrayOf<Element>::New(env, list.size());
    std::copy(list.begin(), list.end(), array.Data());
    return array;
}

std::vector<uint32_t> numbers(const Napi::Value& value) {
    const auto array = value.As<Napi::Uint32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

template <uint32_t (*Function)(const void*, size_t, uint32_t)> Napi::Value checksum(const Napi::CallbackInfo& call) {
    const auto bytes = call[0].As<Napi::Uint8Array>();
    const uint32_t before = call[1].As<Napi::Number>();
    return Napi::Number::New(call.Env(), Function(bytes.Data(), bytes.ElementLength(), before));
}

/// K and V of the same size that make a slot of so many bytes.
wave::KvShape shape_of(size_t slot_bytes) {
    const auto d = static_cast<uint32_t>(slot_bytes / 4);
    return {1, 1, d, d, wave::DType::f16};
}

/// Counts what is pinned, and refuses what goes beyond a limit.
struct CountedPins final : wave::Pins {
    explicit CountedPins(size_t most) : most(most) {}
    bool pin(void* memory, size_t bytes) override {
        if (this->bytes + bytes > most) return false;
        pieces[memory] = bytes, this->bytes += bytes;
        return true;
    }
    void unpin(void* memory) override {
        bytes -= pieces.at(memory);
        pieces.erase(memory);
    }
    size_t most, bytes = 0;
    std::map<void*, size_t> pieces;
};

/// A file with its index, which it keeps.
struct OwnFile {
    std::vector<std::vector<uint32_t>> starts, checksums;
    std::unique_ptr<wave::ClusterFile> file;
};

class Cache : public Napi::ObjectWrap<Cache> {
  public:
    static Napi::Function define(Napi::Env env) {
        return DefineClass(env, "Cache",
                           {InstanceMethod<&Cache::add>("addSegment"), InstanceMethod<&Cache::remove>("removeSegment"),
                            InstanceMethod<&Cache::damaged>("damaged"),
                            InstanceMethod<&Cache::set_capacity>("setCapacity"),
                            InstanceMethod<&Cache::capacity>("capacity"), InstanceMethod<&Cache::used>("used"),
                            InstanceMethod<&Cache::counters>("counters"),
                            InstanceMethod<&Cache::begin_step>("beginStep"),
                            InstanceMethod<&Cache::end_step>("endStep"), InstanceMethod<&Cache::acquire>("acquire"),
                            InstanceMethod<&Cache::prefetch>("prefetch"),
                            InstanceMethod<&Cache::foresee>("foresee"), InstanceMethod<&Cache::pin>("pin"),
                            InstanceMethod<&Cache::pinned>("pinned")});
    }
    /// new Cache(slotBytes, capacity)
    explicit Cache(const Napi::CallbackInfo& call)
        : Napi::ObjectWrap<Cache>(call),
          cache_(call[0].As<Napi::Number>().Uint32Value(), size_of(call[1])) {}

  private:
    static size_t size_of(const Napi::Value& value) {
        return static_cast<size_t>(value.As<Napi::Number>().Int64Value());
    }
    static uint32_t number(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

    /// addSegment(path, starts per head, checksums per head, offset per head): its number
    Napi::Value add(const Napi::CallbackInfo& call) {
        const auto own = std::make_shared<OwnFile>();
        std::vector<wave::StoredHead> heads;
        const auto starts = call[1].As<Napi::Array>(), checksums = call[2].As<Napi::Array>();
        const std::vector<uint32_t> offsets = numbers(call[3]);
        for (uint32_t i = 0; i < starts.Length(); i++) {
            own->starts.push_back(numbers(starts.Get(i)));
            own->checksums.push_back(numbers(checksums.Get(i)));
        }
        for (uint32_t i = 0; i < starts.Length(); i++)
            heads.push_back({own->starts[i].data(), own->checksums[i].data(),
                             static_cast<uint32_t>(own->checksums[i].size()), offsets[i]});
        const auto file = std::make_shared<const wave::StoredFile>(call[0].As<Napi::String>().Utf8Value());
        own->file = std::make_unique<wave::ClusterFile>(file, shape_of(cache_.slot_bytes()), false, std::move(heads));
        return Napi::Number::New(call.Env(), cache_.add_segment({own, own->file.get()}));
    }
    void remove(const Napi::CallbackInfo& call) { cache_.remove_segment(number(call[0])); }
    Napi::Value damaged(const Napi::CallbackInfo& call) {
        return Napi::Number::New(call.Env(), static_cast<double>(cache_.damaged(number(call[0]))));
    }
    void set_capacity(const Napi::CallbackInfo& call) { cache_.set_capacity(size_of(call[0])); }
    Napi::Value capacity(const Napi::CallbackInfo& call) {
        return Napi::Number::New(call.Env(), static_cast<double>(cache_.capacity()));
    }
    Napi::Value used(const Napi::CallbackInfo& call) {
        return Napi::Number::New(call.Env(), static_cast<double>(cache_.used()));
    }
    Napi::Value counters(const Napi::CallbackInfo& call) {
        const wave::CacheCounters counters = cache_.counters();
        Napi::Object result = Napi::Object::New(call.Env());
        const auto put = [&](const char* name, uint64_t value) { result[name] = static_cast<double>(value); };
        put("hits", counters.hits), put("misses", counters.misses), put("prefetched", counters.prefetched);
        put("foreseen", counters.foreseen);
        put("dropped", counters.dropped), put("bytes", counters.bytes), put("late", counters.late);
        put("noRoom", counters.no_room), put("failed", counters.failed);
        return result;
    }
    void begin_step(const Napi::CallbackInfo&) { step_ = std::make_unique<wave::BlockCache::Step>(cache_); }
    void end_step(const Napi::CallbackInfo&) { step_.reset(); }

    static std::vector<wave::ClusterRef> refs(const Napi::Value& value) {
        const std::vector<uint32_t> pairs = numbers(value);
        std::vector<wave::ClusterRef> result;
        for (size_t i = 0; i < pairs.size(); i += 2) result.push_back({pairs[i], pairs[i + 1]});
        return result;
    }
    /// acquire(head, [segment, cluster …], wait): {rows, missing, data: the rows' bytes}; within a step
    Napi::Value acquire(const Napi::CallbackInfo& call) {
        const std::vector<wave::ClusterRef> list = refs(call[1]);
        cache_.acquire(*step_, number(call[0]), list.data(), list.size(), call[2].As<Napi::Boolean>(), acquired_);
        return acquired(call.Env());
    }
    /// foresee(head, [segment, cluster …]): the same
    Napi::Value foresee(const Napi::CallbackInfo& call) {
        const std::vector<wave::ClusterRef> list = refs(call[1]);
        cache_.foresee(*step_, number(call[0]), list.data(), list.size(), acquired_);
        return acquired(call.Env());
    }
    Napi::Value acquired(Napi::Env env) const {
        std::vector<uint8_t> data(acquired_.rows.size() * cache_.slot_bytes());
        for (size_t i = 0; i < acquired_.rows.size(); i++)
            std::memcpy(data.data() + i * cache_.slot_bytes(),
                        cache_.rows() + acquired_.rows[i] * cache_.slot_bytes(), cache_.slot_bytes());
        Napi::Object result = Napi::Object::New(env);
        result["rows"] = array_of(env, acquired_.rows);
        result["missing"] = array_of(env, acquired_.missing);
        result["data"] = array_of(env, data);
        return result;
    }
    /// pin(most bytes)
    void pin(const Napi::CallbackInfo& call) {
        pins_ = std::make_shared<CountedPins>(size_of(call[0]));
        cache_.pin(pins_);
    }
    /// Bytes, or -1 when the cache has given up.
    Napi::Value pinned(const Napi::CallbackInfo& call) {
        return Napi::Number::New(call.Env(), cache_.pinned() ? static_cast<double>(pins_->bytes) : -1);
    }
    /// prefetch(head, [segment, cluster …])
    void prefetch(const Napi::CallbackInfo& call) {
        const std::vector<wave::ClusterRef> list = refs(call[1]);
        cache_.prefetch(number(call[0]), list.data(), list.size());
    }

    std::shared_ptr<CountedPins> pins_;
    wave::BlockCache cache_;
    std::unique_ptr<wave::BlockCache::Step> step_;
    wave::BlockCache::Acquired acquired_;
};

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
    exports["Cache"] = Cache::define(env);
    exports["crc32c"] = Napi::Function::New(env, checksum<wave::crc32c>);
    exports["crc32cPortable"] = Napi::Function::New(env, checksum<wave::crc32c_portable>);
    return exports;
}

} // namespace

NODE_API_MODULE(cache_test, initialize)
