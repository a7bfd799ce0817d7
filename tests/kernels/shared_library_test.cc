#include "kernels/base/shared_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penchant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SharedLibraryTest, FindsFunctionsOfTheFirstNameThereIs) {
  SharedLibrary library({"libnot-there.so.1", "libm.so.6"});
  double (*cosine)(double) = nullptr;
  library.Find("cos", &cosine);
  EXPECT_EQ(library.reason(), "");
  ASSERT_NE(cosine, nullptr);
  EXPECT_EQ(cosine(0.0), 1.0);
}

TEST(SharedLibraryTest, AMissingLibraryIsNamedWithWhatToDo) {
  SharedLibrary library({"libnot-there.so.13", "libnot-there.so.12"});
  int (*function)() = nullptr;
  library.Find("create", &function);
  EXPECT_EQ(function, nullptr);
  EXPECT_THAT(library.reason(), AllOf(HasSubstr("libnot-there.so.13 cannot be loaded"),
                                      HasSubstr("install"), HasSubstr("LD_LIBRARY_PATH")));
}

TEST(SharedLibraryTest, AMissingFunctionIsNamed) {
  SharedLibrary library({"libm.so.6"});
  int (*function)() = nullptr;
  library.Find("cublasNotThere", &function);
  EXPECT_EQ(function, nullptr);
  EXPECT_THAT(library.reason(), HasSubstr("libm.so.6 has no cublasNotThere"));
}

}  // namespace
}  // namespace penchant
