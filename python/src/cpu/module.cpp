// crispvl._cpu: what this machine's CPU can run. Plain C API and a baseline build, because it is
// imported before any other module is chosen.
#include <Python.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cpu_features.h"

namespace {

struct Variant {
    const char* name;
    std::vector<const char*> features;
};

// Slowest first; cmake/variants.cmake owns the rows.
const std::vector<Variant> kVariants = {
#include "crispvl_variants.inc"
};

PyObject* tuple_of(const std::vector<std::string>& texts) {
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(texts.size()));
    for (size_t i = 0; tuple != nullptr && i < texts.size(); ++i) {
        PyObject* text = PyUnicode_FromString(texts[i].c_str());
        // The tuple takes the reference; what was not filled in is NULL, which it may hold.
        if (text == nullptr || PyTuple_SetItem(tuple, static_cast<Py_ssize_t>(i), text) != 0) {
            Py_CLEAR(tuple);
        }
    }
    return tuple;
}

PyObject* features(PyObject*, PyObject*) {
    return tuple_of(crispvl::kernels::cpu_features());
}

PyObject* variants(PyObject*, PyObject*) {
    const std::vector<std::string> present = crispvl::kernels::cpu_features();
    PyObject* list = PyList_New(0);
    for (const Variant& variant : kVariants) {
        std::vector<std::string> missing;
        for (const char* feature : variant.features) {
            if (std::find(present.begin(), present.end(), feature) == present.end()) {
                missing.emplace_back(feature);
            }
        }
        PyObject* row =
            list == nullptr ? nullptr : Py_BuildValue("(sN)", variant.name, tuple_of(missing));
        if (row == nullptr || PyList_Append(list, row) != 0) Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

PyMethodDef kMethods[] = {
    {"features", features, METH_NOARGS, "Instruction sets of this machine."},
    {"variants", variants, METH_NOARGS, "Built variants and the features each lacks here."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef kModule = {
    PyModuleDef_HEAD_INIT, "_cpu", nullptr, -1, kMethods, nullptr, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() {
    return PyModule_Create(&kModule);
}
