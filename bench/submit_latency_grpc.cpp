// The gRPC peer of submit_latency: a frame one way over a stream on a UNIX socket, both ends in processes of their own.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "submit_latency_grpc.grpc.pb.h"
#include "support/peer.hpp"
#include "support/pixels.hpp"

namespace {

using namespace takt::bench;

class Consumer final : public Handovers::Service {
  grpc::Status HandIn(grpc::ServerContext*, grpc::ServerReaderWriter<Times, Pixels>* stream) override {
    Pixels frame;
    while (stream->Read(&frame)) {
      Times times;
      times.set_received_ns(now_ns());
      read_pixels(frame.data().data(), frame.data().size());
      times.set_read_ns(now_ns());
      stream->Write(times);
    }
    return grpc::Status::OK;
  }
};

// Every thread of the server inherits the CPU and the class. fork() comes before gRPC starts any.
[[noreturn]] void consume(const PeerTask& task, const std::string& address) {
  place_thread(task.consumer);
  const sched_param priority{.sched_priority = kBrokerPriority};
  if (::sched_setscheduler(0, SCHED_FIFO, &priority) != 0) give_up("gRPC: SCHED_FIFO was denied");
  Consumer service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) give_up("gRPC: cannot listen");
  server->Wait();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const PeerTask task = PeerTask::parse(argc, argv);
  std::string folder = std::filesystem::temp_directory_path() / "takt-grpc-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) give_up("no temporary folder");
  const std::string address = "unix:" + folder + "/frames";
  const pid_t consumer = ::fork();
  if (consumer == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    consume(task, address);
  }
  place_thread(task.producer);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)))
    give_up("gRPC: no connection");
  const auto stub = Handovers::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->HandIn(&context);
  Pixels frame;
  frame.mutable_data()->resize(task.workload.bytes);
  produce(task.workload, [&](std::uint64_t number) {
    // Straight into the message: a program that has its pixels elsewhere would copy them here first.
    write_pixels(frame.mutable_data()->data(), frame.data().size(), number);
    const std::int64_t begin = now_ns();
    Times times;
    if (!stream->Write(frame) || !stream->Read(&times)) give_up("gRPC: the stream broke");
    return Handover{times.received_ns() - begin, times.read_ns() - begin};
  });
  ::kill(consumer, SIGKILL);
  ::waitpid(consumer, nullptr, 0);
  std::filesystem::remove_all(folder);
  std::_Exit(0);
}
