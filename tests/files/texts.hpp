// Builders for the tests of files: sample texts with one thing changed, and a folder that goes away.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace takt::test {

inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::string sample(const std::string& name) {
  return read_whole(std::filesystem::path(TAKT_SOURCE_DIR) / "tests/files/samples" / name);
}

// `text` with the first `from` replaced; it must be there.
inline std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) {
    ADD_FAILURE() << "the text has no: " << from;
    return text;
  }
  return text.replace(at, from.size(), to);
}

// The line, from 1, of the first `part`.
inline int line_of(std::string_view text, std::string_view part) {
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string_view::npos) << part;
  int line = 1;
  for (const char c : text.substr(0, at)) line += c == '\n';
  return line;
}

// That something was refused at this line, with these words in its key and text.
template <class P>
void expect_refused(const P& parsed, int line, std::string_view key, std::string_view text) {
  ASSERT_FALSE(parsed) << "accepted, but expected: " << text;
  const std::string message = parsed.error().to_string();
  EXPECT_EQ(parsed.error().line, line) << message;
  EXPECT_NE(parsed.error().key.find(key), std::string::npos) << message << "\nexpected key: " << key;
  EXPECT_NE(parsed.error().text.find(text), std::string::npos) << message << "\nexpected text: " << text;
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "takt_files_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path put(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace takt::test
