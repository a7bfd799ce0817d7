#include <chrono>

#include "kernels/base/blas.h"
#include "kernels/base/errors.h"
#include "kernels/base/isa.h"
#include "kernels/base/log.h"
#include "python/bindings/bindings.h"
#include "trainer/session.h"

namespace penchant::python {

std::unique_ptr<Context> MakeContext(int num_threads, const std::string& device) {
  auto context = std::make_unique<Context>(num_threads, device);
  using Clock = std::chrono::steady_clock;
  context->set_poll([last = Clock::now()]() mutable {
    const auto now = Clock::now();
    if (now - last < std::chrono::milliseconds(50)) return;
    last = now;
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
  return context;
}

LentCsr::LentCsr(const py::tuple& parts) {
  offsets = parts[0].cast<Array<int64_t>>();
  indices = parts[1].cast<Array<int32_t>>();
  values = py::none();
  const auto shape = parts[3].cast<std::pair<int64_t, int64_t>>();
  PENCHANT_REQUIRE(offsets.size() == shape.first + 1, "a matrix of ", shape.first, " rows needs ",
                   shape.first + 1, " offsets; got ", offsets.size());
  view = {shape.first, shape.second, offsets.data(), indices.data(), nullptr};
  if (!parts[2].is_none()) {
    const auto data = parts[2].cast<Array<float>>();
    PENCHANT_REQUIRE(data.size() == indices.size(), "a matrix has ", indices.size(),
                     " column indices and ", data.size(), " values");
    values = data;
    view.values = data.data();
  }
  ValidateCsr(view, indices.size(), "sparse matrix");
}

Matrix ToMatrix(const Array<float>& array) {
  PENCHANT_REQUIRE(array.ndim() == 2, "factors must be a 2-D array; got ", array.ndim(),
                   " dimensions");
  Matrix matrix(array.shape(0), array.shape(1));
  for (int64_t i = 0; i < matrix.rows(); ++i) {
    std::memcpy(matrix.row(i), array.data(i, 0), matrix.cols() * sizeof(float));
  }
  return matrix;
}

py::array_t<float> ToArray(const Matrix& matrix) {
  py::array_t<float> array({matrix.rows(), matrix.cols()});
  for (int64_t i = 0; i < matrix.rows(); ++i) {
    std::memcpy(array.mutable_data(i, 0), matrix.row(i), matrix.cols() * sizeof(float));
  }
  return array;
}

namespace {

void BindErrors(py::module_& m) {
  static py::exception<DataError> data_error(m, "DataError", PyExc_ValueError);
  static py::exception<DeviceError> device_error(m, "DeviceError", PyExc_RuntimeError);
  static py::exception<NumericError> numeric_error(m, "NumericError", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const DataError& e) {
      py::set_error(data_error, e.what());
    } catch (const DeviceError& e) {
      py::set_error(device_error, e.what());
    } catch (const NumericError& e) {
      py::set_error(numeric_error, e.what());
    } catch (const InvalidArgument& e) {
      py::set_error(PyExc_ValueError, e.what());
    } catch (const IoError& e) {
      py::set_error(PyExc_OSError, e.what());
    } catch (const Interrupted& e) {
      py::set_error(PyExc_KeyboardInterrupt, e.what());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_penchant, m) {
  m.doc() = "Penchant's C++ core; use the penchant package.";
  BindErrors(m);
  py::class_<Context>(m, "Context")
      .def(py::init(&MakeContext), py::arg("num_threads") = 0, py::arg("device") = "auto")
      .def_property_readonly("num_threads", &Context::num_threads)
      .def_property_readonly("device", &Context::device_name);
  m.def("version", &Version);
  m.def("isa", [] { return IsaName(SelectedIsa()); });
  m.def("supported_isas", [] {
    std::vector<std::string> names;
    for (Isa isa : SupportedIsas()) names.push_back(IsaName(isa));
    return names;
  });
  m.def("blas", &blas::Description);
  m.def("cuda_built", [] { return BuiltCudaBackend() != nullptr; });
  m.def("cuda_unavailable_reason", &CudaUnavailableReason, py::arg("index") = 0);
  m.def("num_cuda_devices",
        [] { return BuiltCudaBackend() != nullptr ? BuiltCudaBackend()->num_devices() : 0; });
  m.def(
      "cuda_device",
      [](int index) {
        const int count = BuiltCudaBackend() != nullptr ? BuiltCudaBackend()->num_devices() : 0;
        PENCHANT_REQUIRE(index >= 0 && index < count, "there is no CUDA device ", index,
                         "; this machine shows ", count);
        const CudaDeviceFacts facts = BuiltCudaBackend()->facts(index);
        py::dict device;
        device["name"] = facts.name;
        device["compute_capability"] = facts.compute_capability / 10.0;
        device["multiprocessors"] = facts.multiprocessors;
        device["memory_bytes"] = facts.memory_bytes;
        device["free_bytes"] = facts.free_bytes;
        return device;
      },
      py::arg("index"));
  m.def("set_log_sink", [](py::function sink) {
    // Held until the process ends: the core may log after Python's own tear-down has begun.
    auto* held = new py::function(std::move(sink));
    SetLogSink([held](LogLevel level, const std::string& message) {
      if (!Py_IsInitialized()) return;
      py::gil_scoped_acquire gil;
      (*held)(level == LogLevel::kWarning, message);
    });
  });
  BindInteractions(m);
  BindModel(m);
  BindReader(m);
  BindTraining(m);
}

}  // namespace penchant::python
