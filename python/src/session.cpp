#include "engine/session.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "engine/decode.h"
#include "engine/prefill.h"
#include "interrupt.h"
#include "session.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

using Embeddings = std::optional<py::array_t<float, py::array::c_style>>;

// Keeps the embeddings alive; Python keeps the session.
struct PrefillWork {
    Embeddings embeddings;
    Prefill work;
};

std::unique_ptr<PrefillWork> begin_prefill(Session& session, const std::vector<int32_t>& ids,
                                           const Embeddings& embeddings) {
    const int64_t width = session.model().config().decoder.width;
    if (embeddings && (embeddings->ndim() != 2 || embeddings->shape(1) != width)) {
        throw py::value_error(
            "[prefill] expected embeddings of shape [n, " + std::to_string(width) + "]; found " +
            std::string(py::str(embeddings->attr("shape"))) + "; use those of encode");
    }
    const float* rows = embeddings ? embeddings->data() : nullptr;
    const int64_t n_rows = embeddings ? embeddings->shape(0) : 0;
    return std::unique_ptr<PrefillWork>(
        new PrefillWork{embeddings, Prefill(session, ids, rows, n_rows)});
}

void prefill(Session& session, const std::vector<int32_t>& ids, const Embeddings& embeddings,
             const CancelToken* cancel) {
    const std::unique_ptr<PrefillWork> prompt = begin_prefill(session, ids, embeddings);
    run_interruptible(cancel, [&](Interrupt* interrupt) {
        while (!prompt->work.done()) prompt->work.step(interrupt);
    });
}

void decode_batch(const std::vector<Session*>& sessions,
                  const std::vector<std::vector<int32_t>>& token_ids,
                  const std::vector<const CancelToken*>& cancels) {
    run_interruptible(cancels, [&](Interrupt* interrupt) {
        crispvl::decode_batch(sessions, token_ids, interrupt);
    });
}

// -1 is the last row.
int64_t checked_row(const Session& session, int64_t i_row) {
    const int64_t n_rows = session.n_logit_rows();
    if (i_row < -1 || i_row >= n_rows) {
        throw py::index_error("[session] expected a row of logits below " + std::to_string(n_rows) +
                              "; found " + std::to_string(i_row) + "; change it");
    }
    return i_row == -1 ? n_rows - 1 : i_row;
}

py::array_t<float> logits(const Session& session, int64_t i_row) {
    if (session.n_logit_rows() == 0) return py::array_t<float>(0);
    const LogitsView row = session.logits(checked_row(session, i_row));
    log_normaliser(row);  // throws where it is none
    return py::array_t<float>(static_cast<py::ssize_t>(row.size), row.data);
}

}  // namespace

void bind_session(py::module_& m) {
    py::class_<Sampler>(m, "Sampler")
        .def(py::init([](float temperature, int64_t top_k, float top_p, float min_p, uint64_t seed,
                         float repetition_penalty, int64_t repetition_window) {
                 return Sampler({temperature, top_k, top_p, min_p, seed, repetition_penalty,
                                 repetition_window});
             }),
             py::kw_only(), "temperature"_a = 0.0f, "top_k"_a = 0, "top_p"_a = 1.0f,
             "min_p"_a = 0.0f, "seed"_a = 0, "repetition_penalty"_a = 1.0f,
             "repetition_window"_a = 0)
        .def("set_history", &Sampler::set_history, "ids"_a);
    py::class_<PrefillWork>(m, "Prefill")
        .def_property_readonly("done", [](const PrefillWork& self) { return self.work.done(); })
        .def(
            "step",
            [](PrefillWork& self, const CancelToken* cancel) {
                run_interruptible(cancel, [&](Interrupt* interrupt) { self.work.step(interrupt); });
            },
            "cancel"_a = nullptr);
    py::class_<Session>(m, "Session")
        .def("begin_prefill", &begin_prefill, "ids"_a, "embeddings"_a, py::keep_alive<0, 1>())
        .def("prefill", &prefill, "ids"_a, "embeddings"_a, "cancel"_a = nullptr)
        .def(
            "sample",
            [](const Session& self, Sampler& sampler, int64_t i_row) {
                const Sampled s = self.sample(sampler, checked_row(self, i_row));
                return py::make_tuple(s.id, s.logprob);
            },
            "sampler"_a, "i_row"_a = -1)
        .def(
            "decode",
            [](Session& self, int32_t id, const CancelToken* cancel) {
                run_interruptible(
                    cancel, [&](Interrupt* interrupt) { crispvl::decode(self, id, interrupt); });
            },
            "token_id"_a, "cancel"_a = nullptr)
        .def_static("decode_batch", &decode_batch, "sessions"_a, "token_ids"_a,
                    "cancels"_a = std::vector<const CancelToken*>())
        .def("logits", &logits, "i_row"_a = -1)
        .def("rewind", &Session::rewind, "n_past"_a)
        .def_property_readonly("n_past", &Session::n_past)
        .def_property_readonly("n_ctx", &Session::n_ctx);
}

}  // namespace crispvl::binding
