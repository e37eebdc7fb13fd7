// A model's configuration and tensors as plain dictionaries.
#pragma once

#include <pybind11/pybind11.h>

#include "model/model.h"

namespace crispvl::binding {

namespace py = pybind11;

// Keys: vision, projector, decoder, tokenizer, image, chat, source. A vocabulary alone
// has tokenizer and source.
py::dict describe_config(const Model& model);

// name, shape (numpy order), type, n_bytes, file
py::list describe_tensors(const Model& model);

// Adds the class `Profiler`.
void bind_profile(py::module_& m);

}  // namespace crispvl::binding
