// Mapping and unmapping pools.
#include "executor/pool_table.hpp"

namespace takt::executor {

PoolTable::PoolTable() : table_(std::make_unique<std::atomic<Pool*>[]>(wire::kMaxExecutorPools)) {}

PoolTable::~PoolTable() {
  for (std::uint32_t i = 0; i < wire::kMaxExecutorPools && mapped_ > 0; ++i)
    if (find(i) != nullptr) (void)unmap(i);
}

Result<void> PoolTable::map(std::uint32_t number, int fd, std::uint64_t bytes, wire::PoolKind kind) {
  if (number >= wire::kMaxExecutorPools) return fail(Code::no_capacity, "the pool's number is out of range");
  if (find(number) != nullptr) return fail(Code::already_exists, "a pool of this number is mapped");
  const Result<std::uint64_t> size = live::check_memory(fd);
  if (!size) return tl::unexpected(size.error());
  if (bytes > *size) return fail(Code::invalid_argument, "the pool is shorter than its message says");
  const auto access = kind == wire::PoolKind::frames ? live::Access::read_only : live::Access::read_write;
  Result<live::Mapping> memory = live::Mapping::map(fd, bytes, access, live::Populate::eager);
  if (!memory) return tl::unexpected(memory.error());
  table_[number].store(new Pool{std::move(*memory), kind}, std::memory_order_release);
  ++mapped_;
  return {};
}

Result<void> PoolTable::unmap(std::uint32_t number) {
  if (find(number) == nullptr) return fail(Code::not_found, "no pool of this number is mapped");
  delete table_[number].exchange(nullptr, std::memory_order_acq_rel);
  --mapped_;
  return {};
}

}  // namespace takt::executor
