// What the binding files share: registration functions, array conversions, the context.
#ifndef PENCHANT_PYTHON_BINDINGS_BINDINGS_H_
#define PENCHANT_PYTHON_BINDINGS_BINDINGS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/memory.h"
#include "kernels/sparse/csr.h"

namespace penchant::python {

namespace py = pybind11;

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

// A context whose long work notices Ctrl-C: its poll runs Python's signal handlers.
std::unique_ptr<Context> MakeContext(int num_threads, const std::string& device);

// A CSR matrix lent by numpy arrays, which the holder keeps alive.
struct LentCsr {
  Array<int64_t> offsets;
  Array<int32_t> indices;
  py::object values;  // Array<float> or None
  CsrView view;

  // From (indptr, indices, data or None, (rows, cols)); validated, sorted rows required.
  explicit LentCsr(const py::tuple& parts);
};

// Copies a 2-D float array into a padded table.
Matrix ToMatrix(const Array<float>& array);
// Copies a table into a dense 2-D array.
py::array_t<float> ToArray(const Matrix& matrix);
// Moves a vector into an array without a copy.
template <typename T>
py::array_t<T> ToArray(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

void BindInteractions(py::module_& m);
void BindModel(py::module_& m);
void BindReader(py::module_& m);
void BindTraining(py::module_& m);

}  // namespace penchant::python

#endif  // PENCHANT_PYTHON_BINDINGS_BINDINGS_H_
