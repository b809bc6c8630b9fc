// The kernels' source, compiled once for each instruction set; only for support/score_kernel.cpp, in a namespace of its
// own. TAKT_LANES is the numbers in a vector: 8 with AVX-512 DQ, 4 with AVX2 and FMA, 2 elsewhere. Meant to be included
// more than once.

constexpr std::size_t kLanes = TAKT_LANES;
using Reals [[gnu::vector_size(kLanes * sizeof(double))]] = double;
using Integers [[gnu::vector_size(kLanes * sizeof(double))]] = std::int64_t;

template <class Vector, class Value>
inline Vector load(const Value* from) noexcept {
  Vector v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
inline void store(double* to, Reals v) noexcept {
  __builtin_memcpy(to, &v, sizeof v);
}
inline Reals all(double x) noexcept {
  return Reals{} + x;
}
inline Reals least(Reals x, Reals y) noexcept {
  return y < x ? y : x;
}
inline Reals most_of(Reals x, Reals y) noexcept {
  return y > x ? y : x;
}

// Doubles of signed integers: by an instruction, or out of two halves that are put into the mantissas of 2^52 and 2^84,
// of which the last sum alone rounds.
inline Reals real(Integers x) noexcept {
#if TAKT_LANES != 4
  return __builtin_convertvector(x, Reals);
#else
  const Integers low = (x & 0xffffffffL) | 0x4330000000000000L;
  const Integers high = ((x >> 32) & 0xffffffffL) ^ 0x4530000080000000L;
  return (Reals(high) - 0x1.00000801p+84) + Reals(low);  // 2^84 + 2^63 + 2^52
#endif
}

// x / divisor, correctly rounded, from the correctly rounded inverse: a division takes 8 to 16 cycles a vector, this 3.
// The first quotient is within 2 units in the last place, the next within 1, and from there a correction by the exact
// remainder gives the rounded quotient (Markstein, IBM J. Res. Dev. 34, 1990). Without fused operations: divides. An
// inverse of 0 gives 0.
inline Reals quotient(Reals x, Reals divisor, Reals inverse) noexcept {
#if TAKT_LANES == 8
  const auto minus_product_plus = [](Reals a, Reals b, Reals c) { return Reals(_mm512_fnmadd_pd(a, b, c)); };
  const auto product_plus = [](Reals a, Reals b, Reals c) { return Reals(_mm512_fmadd_pd(a, b, c)); };
#elif TAKT_LANES == 4
  const auto minus_product_plus = [](Reals a, Reals b, Reals c) { return Reals(_mm256_fnmadd_pd(a, b, c)); };
  const auto product_plus = [](Reals a, Reals b, Reals c) { return Reals(_mm256_fmadd_pd(a, b, c)); };
#endif
#if TAKT_LANES > 2
  Reals q = x * inverse;
  q = product_plus(minus_product_plus(q, divisor, x), inverse, q);
  return product_plus(minus_product_plus(q, divisor, x), inverse, q);
#else
  return inverse > 0 ? x / (inverse > 0 ? divisor : all(1)) : all(0);
#endif
}

inline double highest_of(Reals v) noexcept {
  double highest = v[0];
  for (std::size_t k = 1; k < kLanes; ++k) highest = v[k] > highest ? v[k] : highest;
  return highest;
}

double scores(const KernelRule& rule, const JobColumns& jobs, std::span<const OnAccelerator> on, std::size_t blocks,
              double* most, double* most_of_lane) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const std::int64_t now = rule.now;
  const Reals late_share = all(rule.late_is_urgent ? 0 : 1), late_least = all(rule.late_is_urgent ? 1 : 0);
  const Reals alpha = all(rule.alpha), beta = all(rule.beta);
  const Reals urgent = all(rule.urgency_ceiling), starved = all(rule.starvation_ceiling);
  Reals highest = all(kNone);
  for (std::size_t b = 0; b < blocks; ++b) {
    Reals of_block = all(kNone);
    for (std::size_t k = b * kBlock; k < (b + 1) * kBlock; k += kLanes) {
      const Reals left = real(load<Integers>(jobs.deadline + k) - now), togo = load<Reals>(jobs.togo + k);
      const Reals late_togo = togo * late_share + late_least;  // 1, or the work itself
      const Reals urgency = least((left > 0 ? togo : late_togo) / (left > 0 ? left : all(1)), urgent);
      const Reals waited = real(now - load<Integers>(jobs.since + k));
      const Reals starvation =
          alpha * least(quotient(waited, load<Reals>(jobs.mean + k), load<Reals>(jobs.inverse_mean + k)), starved);
      Reals best = all(kNone);
      for (const OnAccelerator& a : on)
        best = most_of(best, (urgency * load<Reals>(a.preference + k) + starvation) + beta * load<Reals>(a.energy + k));
      store(most + k, best);
      of_block = most_of(of_block, best);
    }
    store(most_of_lane + b * kLanes, of_block);
    highest = most_of(highest, of_block);
  }
  return highest_of(highest);
}

std::int64_t oldest(const double* most, const std::int64_t* release, double highest) {
  Integers least = Integers{} + std::numeric_limits<std::int64_t>::max();
  for (std::size_t k = 0; k < kBlock; k += kLanes) {
    const Integers released = load<Integers>(release + k);
    least = ((load<Reals>(most + k) == highest) & (released < least)) ? released : least;
  }
  std::int64_t first = least[0];
  for (std::size_t k = 1; k < kLanes; ++k) first = least[k] < first ? least[k] : first;
  return first;
}

void energies(const EnergyColumns& c, std::size_t blocks, double* energy) {
  const double nj = c.nj_per_byte, left = c.left;
  for (std::size_t k = 0; k < blocks * kBlock; k += kLanes) {
    const Reals exchange = nj * (load<Reals>(c.live + k) + left);
    const Reals ratio =
        quotient(load<Reals>(c.energies + k) - exchange, load<Reals>(c.here + k), load<Reals>(c.inverse_here + k));
    store(energy + k, ratio + load<Reals>(c.open + k));
  }
}

void quotients(const double* x, const double* divisor, const double* inverse, double* result) {
  for (std::size_t k = 0; k < kBlock; k += kLanes)
    store(result + k, quotient(load<Reals>(x + k), load<Reals>(divisor + k), load<Reals>(inverse + k)));
}
