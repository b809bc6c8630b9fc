// Cost profiles: reading, writing in one step, and the costs that follow from them.
#include "files/profile_file.hpp"

#include <fcntl.h>
#include <tinyxml2.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <unordered_map>

#include "files/xml.hpp"

namespace takt::files {
namespace {

constexpr std::size_t kMaxRows = 65536;
constexpr Duration kShortest = std::chrono::nanoseconds(1);
constexpr Duration kLongest = std::chrono::hours(1);
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;
constexpr std::int64_t kMaxEnergy = 4'000'000'000'000'000;  // an hour at about a kilowatt

Profile::Row read_row(Element& e) {
  Profile::Row row;
  row.line = e.line();
  row.segment = e.name("segment");
  row.in = e.text("in", "");
  row.out = e.text("out", "");
  row.form = e.name("form", "");
  row.batch = static_cast<std::uint32_t>(e.integer("batch", 1, kMaxBatch));
  if (!std::has_single_bit(row.batch)) e.refuse("batch", "must be 1, 2, 4, 8 or 16");
  row.p50 = e.duration("p50", kShortest, kLongest);
  row.p99 = e.duration("p99", kShortest, kLongest);
  if (row.p99 < row.p50) e.refuse("p99", "must not be under p50");
  row.memory = static_cast<std::uint64_t>(e.integer("memory", 0, kMaxBytes, 0));
  row.bytes_moved = static_cast<std::uint64_t>(e.integer("bytes", 0, kMaxBytes, 0));
  row.energy_nj = static_cast<std::uint64_t>(e.integer("energy_nj", 0, kMaxEnergy, 0));
  return row;
}

// How a row and a variant are told in messages: as Variant::name.
std::string name_of(const Profile::Row& row) {
  std::string name = row.segment;
  for (const std::string* part : {&row.form, &row.in, &row.out})
    if (!part->empty()) name += (part == &row.out && !row.in.empty() ? ">" : " ") + *part;
  return name;
}

using Positions = std::unordered_map<std::string, std::size_t>;  // in Model::variants, by name

// A row must also name its parts as what they are: a form is no width.
std::optional<std::size_t> find_variant(const Profile::Row& row, const Model& model, const Positions& positions) {
  const auto found = positions.find(name_of(row));
  if (found == positions.end()) return std::nullopt;
  const Variant& variant = model.variants[found->second];
  const bool same = row.form.empty() == (variant.form < 0) && row.in.empty() == (variant.width_in < 0) &&
                    row.out.empty() == (variant.width_out < 0);
  return same ? std::optional(found->second) : std::nullopt;
}

tl::unexpected<InputError> refuse(const Profile& profile, int line, std::string key, std::string text) {
  return tl::unexpected<InputError>(InputError{profile.file, line, std::move(key), std::move(text)});
}

using Batches = std::array<Cost, CostTable::kBatches>;
struct Measured {
  Batches costs;
  double energy_nj = 0;  // of one job; 0: not measured
};

// What was profiled, by variant; what was not is not runnable.
Parsed<std::vector<Measured>> collect(const Profile& profile, const Model& model, double margin) {
  std::vector<Measured> measured(model.variants.size());
  Positions positions;
  for (std::size_t v = 0; v < model.variants.size(); ++v) positions.emplace(model.variants[v].name, v);
  for (const Profile::Row& row : profile.rows) {
    const auto variant = find_variant(row, model, positions);
    const std::string name = name_of(row);
    if (!variant)
      return refuse(profile, row.line, "cost", "'" + name + "' is no variant of model '" + model.name + "'");
    Cost& cost = measured[*variant].costs[CostTable::batch_class(row.batch)];
    if (cost.runnable())
      return refuse(profile, row.line, "cost", "'" + name + "' has two rows for batch " + std::to_string(row.batch));
    const double budget = static_cast<double>(row.p99.count()) * (1 + margin);
    cost = Cost{row.p50, Duration{std::llround(budget)}};
    if (row.batch == 1) measured[*variant].energy_nj = static_cast<double>(row.energy_nj);
  }
  return measured;
}

// Sizes between two profiled ones cost what the larger one does.
void fill_gaps(Batches& batches) {
  for (std::size_t b = batches.size() - 1; b-- > 0;)
    if (!batches[b].runnable()) batches[b] = batches[b + 1];
}

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::system, "cannot write the profile", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return fail(Code::system, "cannot bring the profile to disk", errno);
  return {};
}

// Makes the rename itself survive a crash. Not every file system can, and the content is safe either way.
void sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

}  // namespace

Parsed<Profile> parse_profile(std::string_view xml, const std::string& file) {
  Profile profile;
  profile.file = file;
  const auto read = read_document(xml, file, "profile", [&](Element& e) {
    profile.model = e.name("model");
    profile.digest = e.text("digest", "");
    profile.accelerator = e.name("accelerator");
    profile.driver = e.name("driver");
    profile.machine = e.text("machine", "");
    profile.date = e.text("date", "");
    e.each("cost", 1, kMaxRows, [&](Element& row) { profile.rows.push_back(read_row(row)); });
  });
  if (!read) return tl::unexpected<InputError>(read.error());
  return profile;
}

Parsed<Profile> read_profile(const std::filesystem::path& path) {
  const auto xml = read_text(path);
  if (!xml) return tl::unexpected<InputError>(xml.error());
  return parse_profile(*xml, path.string());
}

std::string print_profile(const Profile& profile) {
  tinyxml2::XMLPrinter out;
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) out.PushAttribute(key, value.c_str());
  };
  out.OpenElement("profile");
  put("model", profile.model);
  put("digest", profile.digest);
  put("accelerator", profile.accelerator);
  put("driver", profile.driver);
  put("machine", profile.machine);
  put("date", profile.date);
  for (const Profile::Row& row : profile.rows) {
    out.OpenElement("cost");
    put("segment", row.segment);
    put("form", row.form);
    put("in", row.in);
    put("out", row.out);
    put("batch", std::to_string(row.batch));
    put("p50", format_duration(row.p50));
    put("p99", format_duration(row.p99));
    if (row.memory > 0) put("memory", std::to_string(row.memory));
    if (row.bytes_moved > 0) put("bytes", std::to_string(row.bytes_moved));
    if (row.energy_nj > 0) put("energy_nj", std::to_string(row.energy_nj));
    out.CloseElement();
  }
  out.CloseElement();
  return out.CStr();
}

Result<void> write_profile(const Profile& profile, const std::filesystem::path& path) {
  const std::filesystem::path temporary = path.string() + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return fail(Code::system, "cannot create the new profile beside the old one", errno);
  Result<void> written = write_all(fd, print_profile(profile));
  ::close(fd);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = fail(Code::system, "cannot put the new profile in the old one's place", errno);
  if (written)
    sync_folder(path.parent_path());
  else
    ::unlink(temporary.c_str());
  return written;
}

Parsed<void> apply_profile(const Profile& profile, const Model& model, AcceleratorId accelerator, double margin,
                           CostTable& table) {
  TAKT_CHECK(margin >= 0 && accelerator.value < table.accelerators());
  TAKT_CHECK(model.first_variant.value + model.variants.size() <= table.variants());
  if (profile.model != model.name)
    return refuse(profile, 1, "profile model", "is '" + profile.model + "', but the model is '" + model.name + "'");
  if (profile.digest != model.digest)
    return refuse(profile, 1, "profile digest", "is not that of the model's weights: measure the model again");
  auto measured = collect(profile, model, margin);
  if (!measured) return tl::unexpected<InputError>(measured.error());
  for (std::size_t v = 0; v < model.variants.size(); ++v)
    if (!(*measured)[v].costs[0].runnable())
      return refuse(profile, 1, "profile", "has no row for '" + model.variants[v].name + "' at batch 1");
  for (std::size_t v = 0; v < model.variants.size(); ++v) {
    auto& [costs, energy_nj] = (*measured)[v];
    const VariantId id{model.first_variant.value + v};
    fill_gaps(costs);
    for (std::size_t b = 0; b < CostTable::kBatches; ++b) table.set(accelerator, id, std::size_t{1} << b, costs[b]);
    table.set_effort(accelerator, id, {energy_nj, table.effort(accelerator, id).dram_bytes});
  }
  return {};
}

}  // namespace takt::files
