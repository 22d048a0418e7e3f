#include "weight_file.h"

#include <cerrno>
#include <fcntl.h>
#include <gguf.h>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace repowave {

WeightFile::WeightFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(
        gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}), gguf_free);
    if (fd_ < 0 || !file) return;
    for (int64_t i = 0; i < gguf_get_n_tensors(file.get()); i++)
        places_[gguf_get_tensor_name(file.get(), i)] = {gguf_get_tensor_type(file.get(), i),
                                                        gguf_get_data_offset(file.get()) +
                                                            gguf_get_tensor_offset(file.get(), i),
                                                        gguf_get_tensor_size(file.get(), i)};
}

WeightFile::~WeightFile() {
    if (fd_ >= 0) ::close(fd_);
}

std::optional<uint64_t> WeightFile::find(const ggml_tensor* tensor) const {
    const auto found = places_.find(std::string_view(tensor->name));
    if (found == places_.end()) return std::nullopt;
    const auto& [type, offset, bytes] = found->second;
    if (type != tensor->type || bytes != ggml_row_size(type, tensor->ne[0]) * ggml_nrows(tensor))
        return std::nullopt;
    return offset;
}

bool WeightFile::read(uint64_t offset, void* to, size_t bytes) const noexcept {
    auto* next = static_cast<uint8_t*>(to);
    while (bytes > 0) {
        const ssize_t done = ::pread(fd_, next, bytes, static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        next += done, offset += done, bytes -= done;
    }
    return true;
}

} // namespace repowave
