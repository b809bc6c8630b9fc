// Cost profiles: measured times of a model's segments on one accelerator, as XML, and how they fill the cost table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "takt/cost.hpp"
#include "takt/ids.hpp"
#include "takt/model.hpp"
#include "takt/result.hpp"
#include "takt/time.hpp"

namespace takt::files {

struct Profile {
  // One variant at one batch size. `form` names a preprocessing variant; `in` and `out` are widths as the model writes
  // them, empty where the segment has none.
  struct Row {
    std::string segment, in, out, form;
    std::uint32_t batch = 1;  // 1, 2, 4, 8 or 16
    Duration p50{}, p99{};
    std::uint64_t memory = 0;       // bytes of device memory while it runs
    std::uint64_t bytes_moved = 0;  // bytes read and written, for models of contention
    std::uint64_t energy_nj = 0;    // of one launch of this batch; 0: not measured
    int line = 0;                   // in the file it was read from
  };
  std::string model, digest, accelerator, driver, machine, date;
  std::vector<Row> rows;
  std::string file;  // it was read from; for messages
};

// Blocks on the disk.
[[nodiscard]] Parsed<Profile> read_profile(const std::filesystem::path& path);
[[nodiscard]] Parsed<Profile> parse_profile(std::string_view xml, const std::string& file);

// Replaces `path` as a whole: readers see the old profile or the new one, also after a crash. Blocks until it is on
// disk.
[[nodiscard]] Result<void> write_profile(const Profile& profile, const std::filesystem::path& path);
[[nodiscard]] std::string print_profile(const Profile& profile);

// Fills the accelerator's costs of every variant of the model: expected = p50, budget = p99 * (1 + margin), margin >=
// 0. Energies are those of batch 1, where they were measured. A batch size between two profiled ones costs what the
// larger one costs; sizes over the largest profiled one cannot run. Refused, and `table` is left as it was: another
// model or digest, a row that names no variant or one twice, a variant without a row for batch 1.
[[nodiscard]] Parsed<void> apply_profile(const Profile& profile, const Model& model, AcceleratorId accelerator,
                                         double margin, CostTable& table);

}  // namespace takt::files
