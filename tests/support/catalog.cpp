// Building models and cost tables; see catalog.hpp.
#include "support/catalog.hpp"

#include <algorithm>

namespace takt::test {
namespace {

Duration scaled(Duration time, double factor) {
  return Duration{static_cast<std::int64_t>(static_cast<double>(to_ns(time)) * factor + 0.5)};
}

}  // namespace

ModelId Catalog::add(const std::vector<SubnetDraft>& subnets) {
  Model model;
  Draft draft{.factors = std::vector<double>(accelerators_, 1.0)};
  model.name = "m" + std::to_string(models_.size());
  model.metrics.resize(kMaxMetrics);
  if (!models_.empty()) {
    const Model& before = models_.back();
    model.first_variant = VariantId{before.first_variant.value + before.variants.size()};
  }
  for (const SubnetDraft& subnet : subnets) {
    Subnet made{.name = subnet.name, .accuracy = subnet.accuracy};
    for (std::size_t k = 0; k < subnet.pieces.size(); ++k) {
      if (k == model.segments.size()) model.segments.push_back({.name = "s" + std::to_string(k)});
      const Piece& piece = subnet.pieces[k];
      auto found = std::find_if(model.variants.begin(), model.variants.end(),
                                [&](const Variant& v) { return v.segment == k && v.name == piece.variant; });
      if (found == model.variants.end()) {
        model.variants.push_back({.name = piece.variant, .segment = static_cast<std::uint16_t>(k)});
        draft.times.push_back(piece.time);
        found = model.variants.end() - 1;
      }
      made.path.push_back(
          VariantId{model.first_variant.value + static_cast<std::size_t>(found - model.variants.begin())});
    }
    model.subnets.push_back(std::move(made));
  }
  models_.push_back(std::move(model));
  drafts_.push_back(std::move(draft));
  return ModelId{models_.size() - 1};
}

ModelId Catalog::chain(const std::vector<Duration>& segments) {
  SubnetDraft subnet{.name = "m" + std::to_string(models_.size()), .accuracy = 0.7F};
  for (const Duration time : segments) subnet.pieces.push_back({"v", time});
  return add({subnet});
}

void Catalog::set_factor(ModelId model, std::size_t accelerator, double factor) {
  drafts_[model.value].factors[accelerator] = factor;
}

void Catalog::set_batches(ModelId model, double growth, std::size_t largest) {
  drafts_[model.value].growth = growth;
  drafts_[model.value].largest_batch = largest;
}

CostTable Catalog::costs() const {
  const Model& last = models_.back();
  CostTable table(accelerators_, last.first_variant.value + last.variants.size());
  for (std::size_t m = 0; m < models_.size(); ++m) {
    const Draft& draft = drafts_[m];
    for (std::size_t v = 0; v < draft.times.size(); ++v) {
      for (std::size_t a = 0; a < accelerators_; ++a) {
        for (std::size_t n = 1; n <= draft.largest_batch && draft.factors[a] > 0; n *= 2) {
          const double batch = 1 + draft.growth * static_cast<double>(n - 1);
          const Duration expected = scaled(draft.times[v], draft.factors[a] * batch);
          table.set(AcceleratorId{a}, VariantId{models_[m].first_variant.value + v}, n,
                    {.expected = expected, .budget = scaled(expected, budget_factor_)});
        }
      }
    }
  }
  return table;
}

StreamSpec soft(ModelId model, Duration relative_deadline) {
  StreamSpec spec;
  spec.model = model;
  spec.relative_deadline = relative_deadline;
  return spec;
}

StreamSpec hard(ModelId model, Duration period, Duration relative_deadline) {
  StreamSpec spec = soft(model, relative_deadline);
  spec.period = period;
  spec.criticality = Criticality::hard;
  return spec;
}

}  // namespace takt::test
