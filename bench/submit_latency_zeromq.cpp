// The ZeroMQ peer of submit_latency: a frame one way over ipc, producer and consumer in two processes.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "support/peer.hpp"
#include "support/pixels.hpp"

namespace {

using namespace takt::bench;

void check(int result, const char* what) {
  if (result < 0) give_up(std::string("zeromq: ") + what + ": " + zmq_strerror(zmq_errno()));
}

void consume(const PeerTask& task, const std::string& address) {
  place_thread(task.consumer, kBrokerPriority);
  void* const context = zmq_ctx_new();
  zmq_ctx_set(context, ZMQ_THREAD_SCHED_POLICY, SCHED_FIFO);
  zmq_ctx_set(context, ZMQ_THREAD_PRIORITY, kBrokerPriority);
  void* const socket = zmq_socket(context, ZMQ_PAIR);
  check(zmq_bind(socket, address.c_str()), "bind");
  zmq_msg_t message;
  zmq_msg_init(&message);
  for (;;) {
    check(zmq_msg_recv(&message, socket, 0), "receive");
    Handover h{.received = now_ns()};
    read_pixels(zmq_msg_data(&message), zmq_msg_size(&message));
    h.read = now_ns();
    check(zmq_send(socket, &h, sizeof h, 0), "answer");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const PeerTask task = PeerTask::parse(argc, argv);
  std::string folder = std::filesystem::temp_directory_path() / "takt-zeromq-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) give_up("no temporary folder");
  const std::string address = "ipc://" + folder + "/frames";
  const pid_t consumer = ::fork();
  if (consumer == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    consume(task, address);
  }
  place_thread(task.producer);
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_PAIR);
  check(zmq_connect(socket, address.c_str()), "connect");
  std::vector<char> pixels(task.workload.bytes);
  produce(task.workload, [&](std::uint64_t frame) {
    write_pixels(pixels.data(), pixels.size(), frame);
    const std::int64_t begin = now_ns();
    zmq_msg_t message;  // without a copy: the pixels stay where they are until the consumer has answered
    zmq_msg_init_data(
        &message, pixels.data(), pixels.size(), [](void*, void*) {}, nullptr);
    check(zmq_msg_send(&message, socket, 0), "send");
    Handover h;
    check(zmq_recv(socket, &h, sizeof h, 0), "receive");
    return Handover{h.received - begin, h.read - begin};
  });
  ::kill(consumer, SIGKILL);
  ::waitpid(consumer, nullptr, 0);
  std::filesystem::remove_all(folder);
  std::_Exit(0);
}
