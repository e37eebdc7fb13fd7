// Reads several images at once with one model, one thread each, and prints them in order.
//
//     recognize MODEL.gguf page-1.png page-2.png ...
#include <crispvl.h>

#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Free {
    void operator()(crispvl_model* model) const { crispvl_model_free(model); }
    void operator()(crispvl_result* result) const { crispvl_result_free(result); }
};
using Model = std::unique_ptr<crispvl_model, Free>;
using Result = std::unique_ptr<crispvl_result, Free>;

void check(crispvl_status status) {
    if (status != CRISPVL_OK) throw std::runtime_error(crispvl_last_error());
}

Model load(const char* path) {
    crispvl_load_params params;
    crispvl_load_params_init(&params, sizeof params);
    params.path = path;
    crispvl_model* model = nullptr;
    check(crispvl_model_load(&params, &model));
    return Model(model);
}

std::string read(const crispvl_model* model, const char* path) {
    crispvl_image image{};
    image.path = path;
    crispvl_result* result = nullptr;
    check(crispvl_recognize(model, &image, nullptr, &result));
    return crispvl_result_text(Result(result).get());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "usage: recognize MODEL.gguf IMAGE...\n";
        return 2;
    }
    try {
        const Model model = load(argv[1]);
        std::vector<std::future<std::string>> pages;
        for (int i = 2; i < argc; ++i) {
            pages.push_back(std::async(std::launch::async, read, model.get(), argv[i]));
        }
        for (std::future<std::string>& page : pages) std::cout << page.get() << "\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
