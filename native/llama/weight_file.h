// The weights as they lie in a GGUF file, read past llama.cpp: of some tensors it only keeps a form that is
// rearranged for kernels of its own.
#pragma once

#include <cstdint>
#include <ggml.h>
#include <map>
#include <optional>
#include <string>

namespace repowave {

class WeightFile {
  public:
    /// A file that cannot be opened, or is no GGUF file, has no tensors. Of a split model only the first file
    /// is seen.
    explicit WeightFile(const std::string& path);
    ~WeightFile();
    WeightFile(const WeightFile&) = delete;
    WeightFile& operator=(const WeightFile&) = delete;

    /// Where a tensor of that name, type and size begins in the file.
    std::optional<uint64_t> find(const ggml_tensor* tensor) const;
    /// Threads may read at the same time. @returns false when the file cannot be read or ends too soon
    bool read(uint64_t offset, void* to, size_t bytes) const noexcept;

  private:
    struct Place {
        ggml_type type;
        uint64_t offset;
        size_t bytes;
    };
    std::map<std::string, Place, std::less<>> places_; ///< found without a new string
    int fd_;
};

} // namespace repowave
