// Split files: "NAME-00001-of-00003.gguf", as llama.cpp's gguf-split writes them.
#include "gguf/parts.h"

#include <cstdio>

#include "base/error.h"

namespace crispvl {
namespace {

constexpr const char* kSplitNumber = "split.no";  // from 0
constexpr const char* kSplitCount = "split.count";
constexpr const char* kSplitTensors = "split.tensors.count";  // of all parts

struct PartName {
    std::string stem;  // before "-00001-of-00003.gguf"
    int number = 0;    // from 1; 0: not a name of that form
    int count = 0;
};

PartName parse_name(const std::string& path) {
    constexpr size_t kTail = 20;  // of "-00001-of-00003.gguf"
    PartName name;
    if (path.size() <= kTail) return name;
    const std::string tail = path.substr(path.size() - kTail);
    int n_read = 0, number = 0, count = 0;
    if (std::sscanf(tail.c_str(), "-%5d-of-%5d.gguf%n", &number, &count, &n_read) == 2 &&
        n_read == static_cast<int>(kTail) && number >= 1 && number <= count) {
        name = {path.substr(0, path.size() - kTail), number, count};
    }
    return name;
}

std::string part_path(const PartName& name, int number) {
    char tail[32];
    std::snprintf(tail, sizeof tail, "-%05d-of-%05d.gguf", number, name.count);
    return name.stem + tail;
}

int64_t integer_or(const GgufFile& file, const char* key, int64_t otherwise) {
    const std::optional<GgufValue> value = file.find(key);
    const int64_t* number = value ? std::get_if<int64_t>(&*value) : nullptr;
    return number != nullptr ? *number : otherwise;
}

std::shared_ptr<const GgufFile> open_part(const PartName& name, int number, FileAccess access) {
    const std::string path = part_path(name, number);
    try {
        auto part = std::make_shared<const GgufFile>(path, access);
        const int64_t count = integer_or(*part, kSplitCount, 0);
        const int64_t index = integer_or(*part, kSplitNumber, -1);
        if (count != name.count || index != number - 1) {
            throw Error(ErrorKind::model_file,
                        "[model] expected part " + std::to_string(number) + " of " +
                            std::to_string(name.count) + "; found that '" + path +
                            "' calls itself part " + std::to_string(index + 1) + " of " +
                            std::to_string(count) + "; give all parts their published names");
        }
        return part;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        throw Error(ErrorKind::not_found, "[model] expected all " + std::to_string(name.count) +
                                              " parts of the split model; found that '" + path +
                                              "' is missing; download it beside the others");
    }
}

}  // namespace

GgufParts open_parts(const std::string& path, FileAccess access) {
    const PartName name = parse_name(path);
    auto given = std::make_shared<const GgufFile>(path, access);
    const int64_t count = integer_or(*given, kSplitCount, 1);
    if (count <= 1) return {given};
    if (name.number == 0) {
        throw Error(ErrorKind::model_file,
                    "[model] expected the name of a split file to end like '-00001-of-" +
                        std::string(count < 10 ? "0000" : "000") + std::to_string(count) +
                        ".gguf'; found that '" + path + "' is one part of " +
                        std::to_string(count) + "; give all parts their published names");
    }
    GgufParts parts;
    size_t n_tensors = 0;
    for (int number = 1; number <= name.count; ++number) {
        parts.push_back(open_part(name, number, access));
        n_tensors += parts.back()->tensors().size();
    }
    const int64_t expected = integer_or(*parts.front(), kSplitTensors, -1);
    if (expected >= 0 && expected != static_cast<int64_t>(n_tensors)) {
        throw Error(ErrorKind::model_file,
                    "[model] expected " + std::to_string(expected) + " tensors in the " +
                        std::to_string(name.count) + " parts of '" + path + "'; found " +
                        std::to_string(n_tensors) + "; download them again, all from one place");
    }
    return parts;
}

}  // namespace crispvl
