// Whatever the bytes of an artifact, opening and asking it either works or throws a Penchant error.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "io/reader/reader.h"
#include "kernels/base/errors.h"

namespace {

// Runs one request; refusals are answers.
template <typename Request>
void Ask(const Request& request) {
  try {
    request();
  } catch (const penchant::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using penchant::Id;
  std::shared_ptr<const penchant::Artifact> artifact;
  Ask([&] {
    artifact = penchant::Artifact::Open(
        std::make_unique<penchant::TensorFile>(data, static_cast<int64_t>(size), "fuzz"));
  });
  if (artifact == nullptr) return 0;
  Ask([&] { artifact->Verify(); });
  std::unique_ptr<penchant::Reader> reader;
  Ask([&] { reader = std::make_unique<penchant::Reader>(artifact); });
  if (reader == nullptr) return 0;
  for (const Id& id : {Id(int64_t{1}), Id("id 1")}) {
    penchant::Query known;
    known.user = id;
    known.selection.context["country"] = "SA";
    Ask([&] { reader->Recommend(known); });
    penchant::Query unknown;
    unknown.history = {{id, 1.0f}, {Id(int64_t{4}), 2.0f}, {Id("id 2"), -1.0f}};
    unknown.selection.caps["category"] = 1;
    unknown.selection.boosts = {{id, 1.0f}};
    Ask([&] { reader->Recommend(unknown); });
    unknown.selection.caps.clear();
    Ask([&] { reader->Recommend(unknown); });
    Ask([&] { reader->Explain(unknown.history, id); });
    Ask([&] { reader->Similar(id, 3); });
  }
  return 0;
}
