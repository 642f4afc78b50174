// Runs a fuzzer's function on files and folders of inputs, for compilers without libFuzzer:
//   http1_request_fuzz test/native/fuzz/corpus/http1_request
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

size_t replay(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  size_t count = 0;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;  // options of libFuzzer
    std::error_code error;
    if (!std::filesystem::is_directory(argv[i], error)) {
      count += replay(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
      if (entry.is_regular_file(error)) count += replay(entry.path());
    }
  }
  std::printf("replayed %zu inputs\n", count);
  return count == 0 ? 2 : 0;
}
