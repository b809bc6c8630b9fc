// A thousand broken configurations: each is accepted or refused with its line, as a whole, and never crashes the
// reader.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "files/model_file.hpp"
#include "files/profile_file.hpp"
#include "files/service_file.hpp"
#include "files/service_folder.hpp"
#include "files/texts.hpp"

namespace takt::files {
namespace {

constexpr int kMutations = 1000;

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (std::size_t times = 1 + below(3); times > 0; --times) text = once(std::move(text));
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random_() % n); }

  std::string once(std::string text) {
    switch (below(6)) {
      case 0: return text.empty() ? text : (text[below(text.size())] = static_cast<char>(below(256)), text);
      case 1: return text.erase(below(text.size() + 1), below(12));
      case 2: return text.substr(0, below(text.size() + 1));
      case 3: return move_line(std::move(text));
      default: return change_value(std::move(text));
    }
  }

  // Deletes, doubles or moves a line.
  std::string move_line(std::string text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size() - 1);
      lines.push_back(text.substr(at, end - at + 1));
      at = end + 1;
    }
    if (lines.empty()) return text;
    const std::string line = lines[below(lines.size())];
    const auto place = lines.begin() + static_cast<std::ptrdiff_t>(below(lines.size()));
    if (below(2) == 0)
      lines.erase(place);
    else
      lines.insert(place, line);
    text.clear();
    for (const std::string& l : lines) text += l;
    return text;
  }

  std::string change_value(std::string text) {
    static const std::array<std::string, 20> kValues{
        "",  "0",     "1",    "-1",      "nan",   "inf",    "1e400", "12abc", "99999999999999999999", "0.5", "8ms",
        "8", "64KiB", "true", "../../x", "core0", "camera", "&#0;",  "&amp;", std::string(2000, 'x')};
    std::vector<std::size_t> quotes;
    for (std::size_t at = text.find("=\""); at != std::string::npos; at = text.find("=\"", at + 2))
      quotes.push_back(at + 2);
    if (quotes.empty()) return text;
    const std::size_t start = quotes[below(quotes.size())];
    const std::size_t end = std::min(text.find('"', start), text.size());
    return text.replace(start, end - start, kValues[below(kValues.size())]);
  }

  std::mt19937_64 random_;
};

struct Outcome {
  int accepted = 0, refused = 0;
};

// Runs `read` on mutations of `good` and checks every refusal.
template <class Read>
Outcome mutate_all(const std::string& good, const Read& read) {
  Outcome outcome;
  for (int seed = 0; seed < kMutations; ++seed) {
    const std::string text = Mutator(static_cast<std::uint64_t>(seed)).mutate(good);
    const auto result = read(text);
    if (result) {
      ++outcome.accepted;
      continue;
    }
    ++outcome.refused;
    EXPECT_FALSE(result.error().file.empty()) << "seed " << seed;
    EXPECT_GT(result.error().line, 0) << "seed " << seed << ": " << result.error().to_string();
    EXPECT_FALSE(result.error().text.empty()) << "seed " << seed;
  }
  return outcome;
}

TEST(MutatedConfiguration, IsAcceptedOrRefusedWithItsLine) {
  const std::string good = test::read_whole(std::filesystem::path(TAKT_SOURCE_DIR) / "configs/takt.xml");
  const Outcome outcome =
      mutate_all(good, [](const std::string& xml) { return parse_service(xml, "/etc/takt/takt.xml"); });
  EXPECT_EQ(outcome.accepted + outcome.refused, kMutations);
  EXPECT_GT(outcome.accepted, kMutations / 50);
  EXPECT_GT(outcome.refused, kMutations / 2);
}

TEST(MutatedConfiguration, IsLoadedWholeOrRefusedWithItsLine) {
  const test::ServiceFolder folder;
  const Outcome outcome = mutate_all(test::sample("service.xml"),
                                     [&](const std::string& xml) { return load_service(folder.put_service(xml)); });
  EXPECT_GT(outcome.accepted, kMutations / 50);
  EXPECT_GT(outcome.refused, kMutations / 2);
}

TEST(MutatedModel, IsAcceptedOrRefusedWithItsLine) {
  const Outcome outcome = mutate_all(test::sample("picture_model.xml"), [](const std::string& xml) {
    return parse_model(xml, "model.xml", "/m", VariantId{0u});
  });
  EXPECT_GT(outcome.refused, kMutations / 2);
}

TEST(MutatedProfile, IsAppliedWholeOrRefusedWithItsLine) {
  const auto model = parse_model(test::sample("picture_model.xml"), "model.xml", "/m", VariantId{0u});
  ASSERT_TRUE(model) << model.error().to_string();
  const Outcome outcome = mutate_all(test::sample("picture_profile.xml"), [&](const std::string& xml) -> Parsed<void> {
    const auto profile = parse_profile(xml, "profile.xml");
    if (!profile) return tl::unexpected<InputError>(profile.error());
    CostTable table(1, model->variants.size());
    const auto applied = apply_profile(*profile, *model, AcceleratorId{0u}, 0, table);
    for (std::size_t v = 0; v < model->variants.size(); ++v)
      EXPECT_EQ(table.at(AcceleratorId{0u}, VariantId{v}).runnable(), applied.has_value());
    return applied;
  });
  EXPECT_GT(outcome.refused, kMutations / 2);
}

}  // namespace
}  // namespace takt::files
