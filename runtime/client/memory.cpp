// The memory of streams: pools made, taken over by a restarted broker, replaced, given back.
#include "client/client.hpp"

namespace takt::lib {
namespace {

int pool_error(takt_client& client, int error, wire::PoolKind kind, std::uint64_t bytes) noexcept {
  if (error != TAKT_E_LIMIT && error != TAKT_E_NO_MEMORY) return error;
  const char* what = kind == wire::PoolKind::frames ? "frames" : "results";
  const std::string text = client.error;
  return failf(client, static_cast<takt_error>(error), "%llu bytes for %s: %s", static_cast<unsigned long long>(bytes),
               what, text.c_str());
}

int make_pool(takt_client& client, wire::PoolKind kind, std::uint64_t bytes, Pool& pool, std::int64_t until_ns) {
  if (client.welcome.max_pool_bytes != 0 && bytes > client.welcome.max_pool_bytes)
    return failf(client, TAKT_E_LIMIT, "%llu bytes are more than the %llu of a pool: fewer slots or smaller pictures",
                 static_cast<unsigned long long>(bytes),
                 static_cast<unsigned long long>(client.welcome.max_pool_bytes));
  wire::CreatePool request;
  request.kind = kind;
  request.bytes = bytes;
  wire::PoolCreated created;
  Descriptor memory;
  const int e = ask(client, wire::Op::create_pool, request, wire::Op::pool_created, created, until_ns, -1, &memory);
  if (e != TAKT_OK) return pool_error(client, e, kind, bytes);
  if (const char* wrong = pool.adopt(std::move(memory), bytes, kind)) return protocol_error(client, wrong);
  pool.id = created.pool;
  pool.epoch = client.epoch;
  return TAKT_OK;
}

int import_pool(takt_client& client, wire::PoolKind kind, Pool& pool, std::int64_t until_ns) {
  if ((client.welcome.features & wire::kFeaturePoolImport) == 0)
    return fail(client, TAKT_E_UNSUPPORTED, "the broker takes over no memory");
  wire::CreatePool request;
  request.kind = kind;
  request.bytes = pool.bytes();
  wire::PoolCreated created;
  const int e =
      ask(client, wire::Op::import_pool, request, wire::Op::pool_created, created, until_ns, pool.descriptor());
  if (e != TAKT_OK) return e;
  pool.id = created.pool;
  pool.epoch = client.epoch;
  return TAKT_OK;
}

// Every slot's message names the pool and where the slot lies in it.
void bind_frames(takt_stream& stream) noexcept {
  for (std::uint32_t s = 0; s < stream.slot_count; ++s)
    for (std::uint32_t i = 0; i < stream.layout.inputs; ++i) stream.slots[s].message.input[i].pool = stream.frames->id;
}

std::uint64_t result_bytes_of_all(const takt_client& client, const takt_stream& root) noexcept {
  std::uint64_t bytes = root.result_bytes;
  for (const auto& stream : client.streams)
    if ((root.below & bit(stream->place)) != 0) bytes += stream->result_bytes;
  return bytes;
}

}  // namespace

int make_frames(takt_client& client, takt_stream& stream, std::int64_t until_ns) {
  auto pool = std::make_unique<Pool>();
  const std::uint64_t bytes = stream.layout.slot_bytes * stream.slot_count;
  if (const int e = make_pool(client, wire::PoolKind::frames, bytes, *pool, until_ns); e != TAKT_OK) return e;
  stream.frames = std::move(pool);
  bind_frames(stream);
  return TAKT_OK;
}

int fit_results(takt_client& client, takt_stream& root, std::int64_t until_ns) {
  const std::uint64_t stride = result_bytes_of_all(client, root);
  if (stride > kMaxBytes / kMaxSlots) return fail(client, TAKT_E_LIMIT, "the results of this model are too large");
  if (!root.results.empty() && root.results.back()->stride >= stride) {
    Pool& pool = root.results.back()->pool;
    if (pool.epoch == client.epoch) return TAKT_OK;
    if (import_pool(client, wire::PoolKind::results, pool, until_ns) == TAKT_OK) return TAKT_OK;
    if (client.link == takt_client::Link::offline) return TAKT_E_DISCONNECTED;
  }
  auto made = std::make_unique<ResultPool>();
  made->stride = stride;
  if (const int e = make_pool(client, wire::PoolKind::results, stride * root.slot_count, made->pool, until_ns);
      e != TAKT_OK)
    return e;
  // The old one stays until the answers in it are released.
  if (!root.results.empty() && root.results.back()->pool.users == 0) {
    drop_pool(client, root.results.back()->pool);
    root.results.pop_back();
  }
  root.results.push_back(std::move(made));
  return TAKT_OK;
}

int take_memory(takt_client& client, takt_stream& root, std::int64_t until_ns) {
  if (const int e = fit_results(client, root, until_ns); e != TAKT_OK) return e;
  if (import_pool(client, wire::PoolKind::frames, *root.frames, until_ns) == TAKT_OK) {
    bind_frames(root);
    return TAKT_OK;
  }
  if (client.link == takt_client::Link::offline) return TAKT_E_DISCONNECTED;
  if (root.idle()) return make_frames(client, root, until_ns);
  client.repairs = true;
  return TAKT_OK;
}

void drop_pool(takt_client& client, Pool& pool) noexcept {
  if (pool.epoch != client.epoch || client.link == takt_client::Link::offline) return;
  // Not worth waiting for: what the broker does not hear now it learns at the end of the session.
  wire::FreePool message;
  message.pool = pool.id;
  (void)client.socket.send(stamp(client, wire::Op::free_pool, message));
  pool.epoch = 0;
}

}  // namespace takt::lib
