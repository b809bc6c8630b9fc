// SDRM3's scores of all waiting jobs in one vectorised pass over columns that are kept from one question to the next.
// The pair is that of best_pair() in support/score.hpp, bit for bit: the same operations in the same order, never
// fused.
#pragma once

#include <cstdint>
#include <new>
#include <vector>

#include "policies/support/changes.hpp"
#include "policies/support/score.hpp"
#include "policies/support/score_kernel.hpp"

namespace takt {

// A column that begins on a cache line, so that no vector straddles two.
template <class T>
struct CacheLines {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};
  CacheLines() = default;
  template <class U>
  explicit CacheLines(const CacheLines<U>&) noexcept {}
  [[nodiscard]] T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* p, std::size_t) noexcept { ::operator delete(p, kAlignment); }
  friend bool operator==(const CacheLines&, const CacheLines&) { return true; }
};
template <class T>
using Column = std::vector<T, CacheLines<T>>;

// Only prepare() allocates. The cost table must not change.
class ScoreColumns {
 public:
  explicit ScoreColumns(const score::Kernels& kernels = score::kernels()) : kernels_(kernels) {}
  void prepare(const PolicyLimits& limits);

  // Brings the columns up to date; to be called before best(), O(accelerators) for each job that came, went or changed.
  void follow(const Snapshot& s) noexcept;
  // As best_pair(). What the columns do not hold (late jobs with negative urgency, segments that take no time) is left
  // to it.
  [[nodiscard]] ScoredPair best(const Snapshot& s, const ScoreRule& rule, const ScoreWeights& weights) noexcept;

 private:
  static constexpr std::size_t kBlock = score::kBlock;
  // What a job's score needs of an accelerator.
  struct Pairs {
    Column<double> preference;
    Column<double> energy;              // the score's term; minus infinity where it is not open
    Column<double> here, inverse_here;  // energy of the next segment; 0 and 0: none
    Column<double> open;                // 0: may start there if it is idle and has a slot; else minus infinity
    // Of the accelerator, as the columns have it.
    Duration soft_limit{};
    SlotPoolId pool;
    double nj_per_byte = 0;
    JobId latest;
    std::uint64_t latest_bytes = 0;
    bool stale = false;  // energy: another job has left its activation there since
  };

  void rebuild(const Snapshot& s) noexcept;
  [[nodiscard]] bool look(const Snapshot& s) noexcept;
  void put(const Snapshot& s, JobId job, std::size_t i) noexcept;
  void erase(JobId job) noexcept;
  void refresh_energy(const Snapshot& s, std::size_t a) noexcept;
  void gather_idle(const Snapshot& s, bool energy_counts) noexcept;
  [[nodiscard]] std::size_t oldest_of(const Snapshot& s, double highest) noexcept;
  [[nodiscard]] std::size_t oldest_in(const Snapshot& s, double highest, std::size_t block, std::size_t from,
                                      std::size_t step) const noexcept;
  [[nodiscard]] const Rank& rank(const Snapshot& s, std::size_t k) const noexcept {
    return s.waiting.rank[s.waiting.place[job_[k].value]];
  }

  [[nodiscard]] std::size_t blocks() const noexcept { return (size_ + kBlock - 1) / kBlock; }

  const score::Kernels& kernels_;
  Changes changes_;
  std::size_t size_ = 0, odd_ = 0;    // jobs; those that only best_pair() can score
  std::vector<std::uint32_t> place_;  // by job
  // By place; beyond size_ they hold what is harmless.
  std::vector<JobId> job_;
  Column<std::int64_t> deadline_, since_, release_;
  Column<double> togo_, mean_, inverse_mean_, energies_, live_, needs_slot_;
  std::vector<std::uint8_t> is_odd_;
  std::vector<Pairs> on_;
  // Scratch.
  Column<double> most_, most_of_lane_, with_slot_;
  std::vector<std::int64_t> oldest_of_block_;
  std::vector<score::OnAccelerator> idle_;
  std::vector<std::size_t> idle_places_;
};

}  // namespace takt
