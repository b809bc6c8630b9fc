// Choosing what to record.
#include "cuda/keys.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace takt::cuda {
namespace {

const std::string* width_text(const Model& model, int segment, int width) noexcept {
  if (segment < 0 || width < 0) return nullptr;
  const std::vector<std::string>& widths = model.segments[static_cast<std::size_t>(segment)].widths;
  return static_cast<std::size_t>(width) < widths.size() ? &widths[static_cast<std::size_t>(width)] : nullptr;
}

double width_value(const std::string* text) noexcept {
  double value = 1;
  if (text != nullptr) (void)std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// "1" and "1.0" are the same width.
bool same_width(const std::string& a, const std::string& b) noexcept {
  const auto is_number = [](const std::string& s) { return s.find_first_not_of("0123456789.") == std::string::npos; };
  return a == b || (is_number(a) && is_number(b) && width_value(&a) == width_value(&b));
}

// Bytes that its activations take, before and after it: what a capture's pool must hold, roughly.
std::uint64_t footprint(const Model& model, const Variant& variant) noexcept {
  if (variant.form >= 0) {
    const Form& form = model.forms[static_cast<std::size_t>(variant.form)];
    return std::uint64_t{form.width} * form.height * 3 + variant.activation_bytes;
  }
  std::uint64_t before = 0;
  for (const Variant& other : model.variants)
    if (other.segment + 1 == variant.segment && (variant.width_in < 0 || other.width_out == variant.width_in))
      before = std::max(before, other.activation_bytes);
  return before + variant.activation_bytes;
}

double cost_of(const Model& model, const Subnet& subnet, std::span<const double> cost) {
  return std::accumulate(subnet.path.begin(), subnet.path.end(), 0.0,
                         [&](double sum, VariantId id) { return sum + cost[id.value - model.first_variant.value]; });
}

// Collects keys in groups: each key once, each group sorted by size once it is whole.
class Collector {
 public:
  Collector(const Model& model, std::size_t limit)
      : model_(model), limit_(limit), taken_(model.variants.size() * kMaxBatch) {
    for (const Variant& variant : model.variants) bytes_.push_back(footprint(model, variant));
  }

  void add(std::size_t variant, std::uint16_t batch) {
    if (batch > 1 && model_.variants[variant].form >= 0) return;  // pictures come one at a time
    const std::size_t at = variant * kMaxBatch + batch - 1;
    if (taken_[at]) return;
    taken_[at] = true;
    ++wanted_;
    if (keys_.size() < limit_) keys_.push_back({static_cast<std::uint16_t>(variant), batch});
  }
  void add_path(const Subnet& subnet, std::uint16_t batch) {
    for (const VariantId id : subnet.path) add(id.value - model_.first_variant.value, batch);
  }
  void end_group() {
    const auto size = [&](const Key& key) { return bytes_[key.variant] * key.batch; };
    std::stable_sort(keys_.begin() + static_cast<std::ptrdiff_t>(sorted_), keys_.end(),
                     [&](const Key& a, const Key& b) { return size(a) > size(b); });
    sorted_ = keys_.size();
  }
  [[nodiscard]] std::size_t wanted() const noexcept { return wanted_; }
  [[nodiscard]] std::size_t taken() const noexcept { return keys_.size(); }
  [[nodiscard]] std::vector<Key> keys() && { return std::move(keys_); }

 private:
  const Model& model_;
  const std::size_t limit_;
  std::vector<bool> taken_;
  std::vector<std::uint64_t> bytes_;
  std::vector<Key> keys_;
  std::size_t sorted_ = 0, wanted_ = 0;
};

std::size_t most_graphs(const KeyLimits& limits) noexcept {
  if (limits.bytes == 0 || limits.bytes_each == 0) return limits.graphs;
  return std::min(limits.graphs, static_cast<std::size_t>(limits.bytes / limits.bytes_each));
}

void add_uniform(const Model& model, Collector& collector, std::uint16_t batch) {
  for (std::size_t i = 0; i < model.variants.size(); ++i)
    if (is_uniform(model, model.variants[i])) collector.add(i, batch);
  collector.end_group();
}

void add_larger_batches(const Model& model, std::span<const double> cost, const KeyLimits& limits, Collector& keys) {
  std::vector<std::uint16_t> larger;
  for (const std::uint16_t batch : limits.batches)
    if (batch > 1 && batch <= kMaxBatch) larger.push_back(batch);
  for (const std::uint16_t batch : larger) add_uniform(model, keys, batch);
  for (const std::uint16_t batch : larger) {
    for (const std::size_t subnet : pareto_subnets(model, cost)) keys.add_path(model.subnets[subnet], batch);
    keys.end_group();
  }
}

}  // namespace

bool is_uniform(const Model& model, const Variant& variant) noexcept {
  const std::string* const in = width_text(model, variant.segment - 1, variant.width_in);
  const std::string* const out = width_text(model, variant.segment, variant.width_out);
  return in == nullptr || out == nullptr || same_width(*in, *out);
}

std::vector<double> cost_by_width(const Model& model) {
  std::vector<double> cost;
  for (const Variant& variant : model.variants)
    cost.push_back(width_value(width_text(model, variant.segment - 1, variant.width_in)) *
                   width_value(width_text(model, variant.segment, variant.width_out)));
  return cost;
}

std::vector<std::size_t> pareto_subnets(const Model& model, std::span<const double> cost) {
  std::vector<double> total;
  for (const Subnet& subnet : model.subnets) total.push_back(cost_of(model, subnet, cost));
  std::vector<std::size_t> order(model.subnets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (total[a] != total[b]) return total[a] < total[b];
    return model.subnets[a].accuracy > model.subnets[b].accuracy;
  });
  std::vector<std::size_t> best;
  for (const std::size_t i : order)
    if (best.empty() || model.subnets[i].accuracy > model.subnets[best.back()].accuracy) best.push_back(i);
  std::reverse(best.begin(), best.end());
  return best;
}

KeyPlan plan_keys(const Model& model, std::span<const double> cost, const KeyLimits& limits) {
  const std::vector<double> by_width = cost.empty() ? cost_by_width(model) : std::vector<double>{};
  const std::span<const double> costs = cost.empty() ? std::span<const double>(by_width) : cost;
  Collector keys(model, most_graphs(limits));
  add_uniform(model, keys, 1);
  KeyPlan plan;
  plan.ready = keys.taken();
  plan.required = keys.wanted();
  for (const std::size_t subnet : pareto_subnets(model, costs)) keys.add_path(model.subnets[subnet], 1);
  keys.end_group();
  add_larger_batches(model, costs, limits, keys);
  plan.left_out = keys.wanted() - keys.taken();
  plan.keys = std::move(keys).keys();
  return plan;
}

std::string KeyPlan::text() const {
  std::string text = std::to_string(keys.size()) + " graphs, ready after " + std::to_string(ready);
  if (left_out > 0) text += "; the limits leave out " + std::to_string(left_out) + ", which run unrecorded";
  if (required > ready) text += "; " + std::to_string(required) + " were needed to be ready: raise the limits";
  return text;
}

bool Shelf::put(Key key, std::uint32_t entry) noexcept {
  const std::size_t at = std::size_t{key.variant} * kMaxBatch + key.batch - 1U;
  if (key.batch - 1U >= kMaxBatch || at >= entries_.size()) return false;
  if (entries_[at] == kNone && entry != kNone) ++filled_;
  entries_[at] = entry;
  return true;
}

}  // namespace takt::cuda
