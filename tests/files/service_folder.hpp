// A folder with everything that samples/service.xml points at.
#pragma once

#include <filesystem>
#include <string>

#include "files/texts.hpp"

namespace takt::test {

class ServiceFolder : public Folder {
 public:
  ServiceFolder() {
    put("models/shrinking/model.xml", sample("picture_model.xml"));
    put("models/copy/model.xml", sample("picture_model.xml"));
    put("models/plain/model.xml", sample("tensor_model.xml"));
    put("costs/shrinking.xml", sample("picture_profile.xml"));
    put("costs/other.xml", with(sample("picture_profile.xml"), "driver=\"cpu\"", "driver=\"cuda\""));
    put("costs/plain.xml", sample("tensor_profile.xml"));
  }
  std::filesystem::path put_service(std::string_view xml) const { return put("takt.xml", xml); }
};

}  // namespace takt::test
