// takt.xml: what is read, what is completed, and what is refused with its line.
#include "files/service_file.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "files/texts.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;
using test::line_of;
using test::sample;
using test::with;

Parsed<ServiceConfig> parse(const std::string& xml) {
  return parse_service(xml, "/etc/takt/takt.xml");
}

void expect_change_refused(std::string_view from, std::string_view to, std::string_view key, std::string_view text) {
  const std::string xml = with(sample("service.xml"), from, to);
  const int line = line_of(sample("service.xml"), from);
  expect_refused(parse(xml), line, key, text);
}

ServiceConfig good() {
  auto config = parse(sample("service.xml"));
  EXPECT_TRUE(config) << config.error().to_string();
  return *config;
}

TEST(ServiceFile, ReadsTheServiceAsWritten) {
  const ServiceConfig config = good();
  EXPECT_EQ(config.policy, "edf+drop+fit");
  EXPECT_EQ(config.max_jobs, 64u);
  EXPECT_EQ(config.max_streams, 256u);
  EXPECT_EQ(config.budget_margin, 0.5);
  EXPECT_EQ(config.scheduler.core, 0);
  EXPECT_TRUE(config.scheduler.lock_memory);
  EXPECT_EQ(config.activations.slots, 64u);
  EXPECT_EQ(config.activations.bytes, 256u * 1024);
}

TEST(ServiceFile, ReadsSettingsOfThePolicyAndTheStatusSocket) {
  const auto config = parse(with(with(sample("service.xml"), "policy=\"edf+drop+fit\"", "policy=\"sdrm3:full\" policy_settings=\" window_ms=250  alpha=0.5\""),
                                 "<scheduler core=", "<status path=\"status.sock\" mode=\"0640\"/><scheduler core="));
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->policy_settings, (std::vector<std::string>{"window_ms=250", "alpha=0.5"}));
  EXPECT_EQ(config->status->path, "/etc/takt/run/status.sock");
  EXPECT_EQ(config->status->mode, 0640u);
  EXPECT_FALSE(good().status);
  expect_change_refused("policy=\"edf+drop+fit\"", "policy=\"sdrm3\" policy_settings=\"alpha\"", "policy_settings", "window_ms=250");
  expect_change_refused("policy=\"edf+drop+fit\"", "policy=\"sdrm3\" policy_settings=\"=1\"", "policy_settings", "window_ms=250");
  expect_change_refused("<activations bytes", "<status path=\"\"/><activations bytes", "path", "");
}

TEST(ServiceFile, CompletesPaths) {
  const ServiceConfig config = good();
  EXPECT_EQ(config.folder, "/etc/takt");
  EXPECT_EQ(config.runtime_directory, "/etc/takt/run");
  EXPECT_EQ(config.trace->file, "/etc/takt/run/trace.csv");
  EXPECT_EQ(config.listeners[0].path, "/etc/takt/run/takt.sock");
  EXPECT_EQ(config.models[0].directory, "/etc/takt/models/shrinking");
  EXPECT_EQ(config.models[0].profiles[0].file, "/etc/takt/costs/shrinking.xml");
  const auto absolute = parse(with(sample("service.xml"), "\"run\"", "\"/run/takt/\""));
  ASSERT_TRUE(absolute) << absolute.error().to_string();
  EXPECT_EQ(absolute->listeners[0].path, "/run/takt/takt.sock");
}

TEST(ServiceFile, ReadsListenersWithTheirLimits) {
  const ListenerConfig listener = good().listeners[0];
  EXPECT_EQ(listener.group, "clients");
  EXPECT_EQ(listener.mode, 0600u);
  EXPECT_EQ(listener.greatest, Criticality::hard);
  EXPECT_EQ(listener.limits.sessions, 32u);
  EXPECT_EQ(listener.limits.memory, std::uint64_t{64} << 20);
  EXPECT_EQ(listener.user.sessions, 4u);
  EXPECT_EQ(listener.user.streams, listener.limits.streams);
  EXPECT_EQ(listener.user.memory, std::uint64_t{32} << 20);
}

TEST(ServiceFile, LimitsUsersLikeTheListenerIfItSaysNothingOfThem) {
  const auto config = parse(with(sample("service.xml"), "<user sessions=\"4\" memory=\"32MiB\"/>", ""));
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->listeners[0].user.sessions, 32u);
  EXPECT_EQ(config->listeners[0].user.memory, std::uint64_t{64} << 20);
}

TEST(ServiceFile, CountsAcceleratorsThroughTheDevices) {
  const ServiceConfig config = good();
  ASSERT_EQ(config.accelerators(), 3u);
  EXPECT_EQ(config.accelerator(AcceleratorId{1u}).config.name, "core1");
  EXPECT_EQ(config.accelerator(AcceleratorId{1u}).config.cores, (std::vector<int>{1, 2}));
  EXPECT_EQ(config.accelerator(AcceleratorId{1u}).spin, Duration{20us});
  EXPECT_EQ(config.accelerator(AcceleratorId{2u}).config.name, "pretend");
  EXPECT_FALSE(config.accelerator(AcceleratorId{2u}).realtime);
  EXPECT_EQ(config.device_of(AcceleratorId{1u}).name, "first");
  EXPECT_EQ(config.device_of(AcceleratorId{2u}).executor, ExecutorStart::external);
  EXPECT_EQ(config.models[1].profiles[0].accelerator, AcceleratorId{2u});
}

TEST(ServiceFile, ReadsWhereActivationsAreAndPartsOfAUnit) {
  const ServiceConfig plain = good();
  EXPECT_EQ(plain.devices[1].activations, Activations::shared);
  EXPECT_EQ(plain.accelerator(AcceleratorId{2u}).config.unit, 0);
  EXPECT_EQ(plain.accelerator(AcceleratorId{2u}).config.sms, 0);
  EXPECT_EQ(plain.accelerator(AcceleratorId{2u}).config.precision, Precision::half);
  const std::string parts = R"(<accelerator name="pretend" realtime="false" unit="1" sms="32" precision="single"/>
    <accelerator name="rest" unit="1" precision="single"/>)";
  const auto config =
      parse(with(with(sample("service.xml"), "activations=\"shared\"", "activations=\"own\""),
                 "<accelerator name=\"pretend\" realtime=\"false\"/>", parts));
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->devices[0].activations, Activations::shared);
  EXPECT_EQ(config->devices[1].activations, Activations::own);
  const AcceleratorConfig& part = config->accelerator(AcceleratorId{2u}).config;
  EXPECT_EQ(part.unit, 1);
  EXPECT_EQ(part.sms, 32);
  EXPECT_EQ(part.precision, Precision::single);
  EXPECT_EQ(config->accelerator(AcceleratorId{3u}).config.sms, 0);
}

TEST(ServiceFile, RefusesPartsThatCannotBe) {
  const auto refused = [](const std::string& attribute, std::string_view key, std::string_view text) {
    expect_change_refused("\"pretend\" realtime", "\"pretend\" " + attribute + " realtime", key, text);
  };
  refused("unit=\"64\"", "accelerator unit", "from 0 to 63");
  refused("unit=\"-1\"", "accelerator unit", "from 0 to 63");
  refused("sms=\"4097\"", "accelerator sms", "from 0 to 4096");
  refused("precision=\"double\"", "accelerator precision", "half");
  expect_change_refused("activations=\"shared\"", "activations=\"mine\"", "device activations", "shared");
  const std::string two = with(with(sample("service.xml"), "driver=\"cpu\"", "driver=\"cpu\" activations=\"own\""),
                               "unit=\"0\"", "unit=\"1\"");
  expect_refused(parse(two), line_of(two, "unit=\"1\""), "accelerator unit", "that of the others");
  EXPECT_TRUE(parse(with(two, " activations=\"own\"", "")));
  const std::string mixed = with(with(two, "unit=\"1\"", "unit=\"0\""), "precision=\"half\"", "precision=\"single\"");
  expect_refused(parse(mixed), line_of(mixed, "precision=\"single\""), "accelerator precision", "that of the others");
}

TEST(ServiceFile, ReadsStreamsAndTheirDefaults) {
  const ServiceConfig config = good();
  const StreamEntry& camera = config.streams[0];
  EXPECT_EQ(camera.picture, PictureFormat::nv12);
  EXPECT_EQ(camera.spec.criticality, Criticality::hard);
  EXPECT_EQ(camera.spec.period, Duration{33ms});
  EXPECT_EQ(camera.spec.jitter, Duration{2ms});
  EXPECT_EQ(camera.spec.relative_deadline, Duration{30ms});
  const StreamEntry& numbers = config.streams[2];
  EXPECT_EQ(numbers.spec.criticality, Criticality::soft);
  EXPECT_EQ(numbers.spec.relative_deadline, numbers.spec.period);
  EXPECT_EQ(numbers.spec.queue, QueueRule::drop_oldest);
  EXPECT_EQ(numbers.spec.queue_depth, 3u);
  EXPECT_EQ(numbers.spec.accuracy_ceiling, 1.f);
}

TEST(ServiceFile, GivesAChildItsParentsPeriodAndPicture) {
  const ServiceConfig config = good();
  const StreamEntry& child = config.streams[1];
  EXPECT_EQ(child.spec.parent, StreamId{0u});
  EXPECT_EQ(child.spec.period, Duration{33ms});
  EXPECT_EQ(child.picture, PictureFormat::nv12);
  EXPECT_EQ(child.width, 600u);
  EXPECT_EQ(child.metric, "peak");
  EXPECT_EQ(child.spec.trigger.op, Trigger::Op::less);
  EXPECT_EQ(child.spec.trigger.threshold, 0.6f);
  EXPECT_EQ(child.spec.late, LateRule::finish);
}

TEST(ServiceFile, RefusesValuesOutOfTheirBounds) {
  expect_change_refused("max_jobs=\"64\"", "max_jobs=\"0\"", "service max_jobs", "from 1 to 65536");
  expect_change_refused("budget_margin=\"0.5\"", "budget_margin=\"-1\"", "service budget_margin", "from 0 to 10");
  expect_change_refused("priority=\"20\"", "priority=\"50\"", "scheduler priority", "from 0 to 49");
  expect_change_refused("bytes=\"256KiB\"", "bytes=\"256\"", "activations bytes", "KiB, MiB or GiB");
  expect_change_refused("mode=\"0600\"", "mode=\"600\"", "listener mode", "4 octal digits");
  expect_change_refused("mode=\"0600\"", "mode=\"0690\"", "listener mode", "4 octal digits");
  expect_change_refused("jitter=\"2ms\"", "jitter=\"34ms\"", "stream jitter", "not be over the period");
  expect_change_refused("deadline=\"30ms\"", "deadline=\"11s\"", "stream deadline", "to 10s");
  expect_change_refused("accuracy_floor=\"0.5\"", "accuracy_floor=\"0.5\" accuracy_ceiling=\"0.4\"", "accuracy_floor",
                        "not be over");
  expect_change_refused("width=\"600\"", "width=\"601\"", "stream picture", "even width");
}

TEST(ServiceFile, RefusesMalformedPolicies) {
  for (const char* wrong : {"edf+", "+edf", "edf++drop", "edf drop", "Edf", "edf/drop"})
    expect_change_refused("\"edf+drop+fit\"", "\"" + std::string(wrong) + "\"", "service policy", "joined by '+'");
  EXPECT_TRUE(parse(with(sample("service.xml"), "edf+drop+fit", "sdrm3:drop+supernet")));
}

TEST(ServiceFile, RefusesNamesThatAreTakenOrUnknown) {
  expect_change_refused("\"second\"", "\"first\"", "device name", "twice");
  expect_change_refused("\"pretend\" realtime", "\"core0\" realtime", "accelerator name", "twice");
  expect_change_refused("\"numbers\"", "\"camera\"", "stream name", "twice");
  expect_change_refused("accelerator=\"core1\"", "accelerator=\"core7\"", "profile accelerator",
                        "no accelerator of a <device>");
  expect_change_refused("accelerator=\"core1\"", "accelerator=\"core0\"", "profile accelerator", "twice");
}

TEST(ServiceFile, RefusesTheSameFolderTwiceHoweverItIsSpelt) {
  expect_change_refused("\"models/plain\"", "\"models/../models/shrinking\"", "model directory", "twice");
  expect_change_refused("\"models/plain\"", "\"models/shrinking/\"", "model directory", "twice");
  expect_change_refused("<device name=\"first\"", "<listener path=\"./takt.sock\"/><device name=\"first\"",
                        "listener path", "twice");
}

TEST(ServiceFile, RefusesCoresThatTwoAcceleratorsHave) {
  expect_change_refused("cores=\"1 2\"", "cores=\"1 0\"", "accelerator cores", "core 0 is that of 'core0' already");
  expect_change_refused("cores=\"1 2\"", "cores=\"1 1\"", "accelerator cores", "core 1 is that of 'core1' already");
  expect_change_refused("threads=\"2\"", "threads=\"3\"", "accelerator threads", "1 or the number of cores");
}

TEST(ServiceFile, LetsNobodySpinOnASharedCore) {
  expect_change_refused("cores=\"0\"", "cores=\"0\" spin=\"5us\"", "accelerator spin", "cores of its own");
  expect_change_refused("\"pretend\" ", "\"pretend\" spin=\"5us\" ", "accelerator spin", "cores of its own");
  expect_change_refused("core=\"0\" ", "spin=\"5us\" ", "scheduler spin", "unless it has a core");
  const std::string spinning = with(sample("service.xml"), "core=\"0\"", "core=\"0\" spin=\"5us\"");
  expect_refused(parse(spinning), line_of(spinning, "cores=\"0\""), "accelerator cores", "which spins");
}

TEST(ServiceFile, KeepsTheSchedulerAboveTheWorkers) {
  expect_change_refused("priority=\"10\"", "priority=\"20\"", "accelerator priority",
                        "under the scheduler's, which is 20");
  const auto without =
      parse(with(with(sample("service.xml"), "priority=\"20\"", "priority=\"0\""), " priority=\"10\"", ""));
  ASSERT_TRUE(without) << without.error().to_string();
  EXPECT_EQ(without->accelerator(AcceleratorId{0u}).priority, 0);
}

TEST(ServiceFile, RefusesSocketPathsThatDoNotFit) {
  expect_change_refused("\"takt.sock\"", "\"" + std::string(100, 's') + "\"", "listener path", "longer than 107 bytes");
}

TEST(ServiceFile, RefusesUsersWithMoreThanTheirListener) {
  expect_change_refused("sessions=\"4\"", "sessions=\"33\"", "user sessions", "from 1 to 32");
  expect_change_refused("memory=\"32MiB\"", "memory=\"65MiB\"", "user memory", "67108864 bytes");
}

TEST(ServiceFile, RefusesHardStreamsWithoutPeriodOrDeadline) {
  expect_change_refused("period=\"33ms\" jitter=\"2ms\" ", "", "stream class", "hard needs a period");
  expect_change_refused("deadline=\"30ms\" ", "", "stream class", "hard needs a deadline");
  expect_change_refused("period=\"10ms\" ", "", "stream deadline", "is missing");
}

TEST(ServiceFile, RefusesPresetsThatNoListenerAllows) {
  const std::string xml = with(sample("service.xml"), "class=\"hard\" memory", "class=\"firm\" memory");
  expect_refused(parse(xml), line_of(xml, "\"camera\""), "stream class", "above what any <listener> allows");
}

TEST(ServiceFile, WantsParentsBeforeChildren) {
  expect_change_refused("after=\"camera\"", "after=\"numbers\"", "stream after", "no <stream> above");
  expect_change_refused("after=\"camera\"", "after=\"closer\"", "stream after", "no <stream> above");
  expect_change_refused("after=\"camera\" if", "if", "stream if", "is unknown");
  expect_change_refused("after=\"camera\"", "after=\"camera\" period=\"40ms\"", "stream period",
                        "must be the parent's");
  expect_change_refused("after=\"camera\"", "after=\"camera\" picture=\"rgb\"", "stream picture", "is unknown");
}

TEST(ServiceFile, RefusesTriggersThatAreNoComparison) {
  for (const char* wrong : {"peak", "peak 0.6", "peak == 0.6", "peak &lt; many", "peak &lt; nan", "peak&lt;0.6"})
    expect_change_refused("peak &lt; 0.6", wrong, "stream if", "");
  EXPECT_TRUE(parse(with(sample("service.xml"), "peak &lt; 0.6", "top1 >= -1e3")));
}

TEST(ServiceFile, NeedsAtLeastOneOfWhatItCannotDoWithout) {
  expect_refused(parse("<takt/>"), 1, "takt", "<service>");
  expect_refused(parse("<takt><service runtime_directory='r'/></takt>"), 1, "takt", "<listener>");
}

TEST(ServiceFile, OfTheSampleConfigurationIsAccepted) {
  const auto config = read_service(std::filesystem::path(TAKT_SOURCE_DIR) / "configs/takt.xml");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->accelerators(), 2u);
  EXPECT_TRUE(std::filesystem::exists(config->models[0].directory / "model.xml")) << config->models[0].directory;
}

}  // namespace
}  // namespace takt::files
