// Models for the null driver, written where a test wants them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace takt::test {

// Three segments, one float vector in, one float vector out. `segment` names the middle one: the null driver fails,
// hangs or crashes in segments whose names say so.
inline std::string chain_model(const std::string& name, const std::string& segment = "middle",
                               const std::string& activation_bytes = "64") {
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<model name=")" +
         name + R"(" version="1" module="null">
  <input name="features" dtype="f32" dims="64"/>
  <output name="scores" dtype="f32" dims="10"/>
  <segment name="first" activation_bytes=")" +
         activation_bytes + R"("/>
  <segment name=")" +
         segment + R"(" activation_bytes="64"/>
  <segment name="last" activation_bytes="0"/>
</model>
)";
}

// Pictures in two forms, and a segment in two widths behind them.
inline std::string picture_model(const std::string& name) {
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<model name=")" +
         name + R"(" version="1" module="null">
  <input name="image" dtype="u8">
    <form name="small" format="rgb" width="64" height="48"/>
    <form name="large" format="nv12" width="320" height="240"/>
    <normalise width="32" height="32" mean="0.5 0.5 0.5" deviation="0.2 0.2 0.2"/>
  </input>
  <output name="scores" dtype="f32" dims="10"/>
  <segment name="preprocess" activation_bytes="12288"/>
  <segment name="stem" widths="0.5 1" activation_bytes="4096"/>
  <segment name="body" widths="0.5 1" activation_bytes="2048"/>
  <segment name="pool" activation_bytes="1024"/>
  <segment name="head" activation_bytes="0"/>
  <subnet name="half" accuracy="0.8" widths="0.5 0.5"/>
  <subnet name="full" accuracy="0.9" widths="1 1"/>
</model>
)";
}

inline std::filesystem::path write_model(const std::filesystem::path& directory, const std::string& xml) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "model.xml") << xml;
  return directory;
}

}  // namespace takt::test
