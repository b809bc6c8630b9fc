// The strict layer: conversions take whole strings, and whatever was not asked for is refused.
#include "files/xml.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <set>

#include "files/texts.hpp"

namespace takt::files {
namespace {

using namespace std::chrono_literals;
using test::expect_refused;

Parsed<void> read(std::string_view xml, const Element::Reader& reader) {
  return read_document(xml, "f", "a", reader);
}

TEST(ParseNumber, TakesOnlyWholeStrings) {
  EXPECT_EQ(parse_number<int>("12"), 12);
  EXPECT_EQ(parse_number<int>("-1"), -1);
  for (const char* wrong : {"", " 1", "1 ", "12abc", "0x10", "+1", "1.0", "99999999999"})
    EXPECT_FALSE(parse_number<int>(wrong)) << wrong;
  EXPECT_FALSE(parse_number<unsigned>("-1"));
  EXPECT_EQ(parse_number<double>("0.5"), 0.5);
}

TEST(ParseDuration, NeedsAUnitUnlessItIsZero) {
  EXPECT_EQ(parse_duration("0"), Duration{0});
  EXPECT_EQ(parse_duration("8ms"), Duration{8ms});
  EXPECT_EQ(parse_duration("0us"), Duration{0});
  EXPECT_EQ(parse_duration("250ns"), Duration{250ns});
  EXPECT_EQ(parse_duration("2s"), Duration{2s});
  EXPECT_EQ(parse_duration("16.7ms"), Duration{16'700us});
  EXPECT_EQ(parse_duration(std::to_string(kForever.count()) + "ns"), kForever);
  for (const char* wrong : {"", "8", "ms", "8 ms", "-8ms", "8m", "8msx", ".5ms", "5.ms", "1.2.3ms", "0.5ns",
                            "1.0000000001s", "9223372036854775807ns", "99999999999999999999s"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(ParseSize, NeedsABinaryUnitUnlessItIsZero) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_size("1MiB"), 1u << 20);
  EXPECT_EQ(parse_size("4GiB"), std::uint64_t{4} << 30);
  for (const char* wrong : {"", "64", "KiB", "64KB", "64kib", "-1KiB", "1.5KiB", "64 KiB", "99999999999999GiB"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
}

TEST(FormatDuration, IsReadBackAsTheSame) {
  for (const Duration d : {Duration{0}, Duration{1ns}, Duration{1500ns}, Duration{812us}, Duration{33ms}, Duration{7s},
                           Duration{1'000'000'001ns}, kForever})
    EXPECT_EQ(parse_duration(format_duration(d)), d) << format_duration(d);
  EXPECT_EQ(format_duration(812us), "812us");
}

TEST(Document, RefusesWhatIsNotOneRootElement) {
  const auto nothing = [](Element&) {};
  EXPECT_TRUE(read("<?xml version='1.0'?><!-- c --><a/><!-- d -->", nothing));
  expect_refused(read("", nothing), 1, "", "not well-formed");
  expect_refused(read("<!-- only -->", nothing), 1, "", "no <a>");
  expect_refused(read("<a>\n<b></a>", nothing), 2, "", "not well-formed");
  expect_refused(read("<b/>", nothing), 1, "", "must be one <a>");
  expect_refused(read("<a/>\n<a/>", nothing), 2, "", "must be one <a>");
  expect_refused(read("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>\n<a/>", nothing), 1, "",
                 "must be one <a>");
}

TEST(Document, RefusesZeroBytesHoweverTheyAreWritten) {
  const auto take = [](Element& e) { (void)e.text("k"); };
  expect_refused(read(std::string_view("<a/>\n\0<b", 8), [](Element&) {}), 2, "", "zero byte");
  for (const char* zero : {"&#0;", "&#000;", "&#x0;", "&#x00;"})
    expect_refused(read("<a k='x" + std::string(zero) + "y'/>", take), 1, "", "zero byte");
  EXPECT_TRUE(read("<a k='&#48;&#x30;&#100;'/>", take));
}

TEST(Document, RefusesDeepNestingAndLargeTexts) {
  std::string deep = "<a>";
  for (int i = 0; i < 5000; ++i) deep += "<b>";
  expect_refused(read(deep, [](Element&) {}), 1, "", "not well-formed");
  std::string large = "<a/><!--";
  large.resize(kMaxFileBytes + 1, 'x');
  expect_refused(read(large, [](Element&) {}), 1, "", "over 16 MiB");
}

TEST(Document, RefusesUnknownAttributesChildrenAndText) {
  const auto reader = [](Element& e) {
    (void)e.text("known", "");
    e.each("child", 0, 9, [](Element& c) { (void)c.integer("n", 0, 9, 0); });
  };
  EXPECT_TRUE(read("<a known='x'><child n='1'/></a>", reader));
  expect_refused(read("<a\n knwon='x'/>", reader), 2, "a knwon", "known attributes are known");
  expect_refused(read("<a>\n<chlid/></a>", reader), 2, "a", "its children are child");
  expect_refused(read("<a><child>\n<deeper/></child></a>", reader), 2, "child", "it has no children");
  expect_refused(read("<a>\ntext</a>", reader), 2, "a", "text or markup is unknown");
  expect_refused(read("<a><child/><![CDATA[x]]></a>", reader), 1, "a", "text or markup is unknown");
  expect_refused(read("<a k='1' k='2'/>", reader), 1, "", "not well-formed");
}

TEST(Document, AllowsTheAttributesThatTellEditorsOfASchema) {
  EXPECT_TRUE(read("<a xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:noNamespaceSchemaLocation='a.xsd'/>",
                   [](Element&) {}));
}

TEST(Document, ReportsTheFirstMistakeOnly) {
  const auto read_both = read("<a x='bad'\n y='bad'/>", [](Element& e) {
    (void)e.integer("x", 0, 9);
    (void)e.integer("y", 0, 9);
  });
  expect_refused(read_both, 1, "a x", "from 0 to 9");
}

TEST(Element, SaysWhatIsAllowed) {
  constexpr std::array<std::pair<std::string_view, int>, 2> kChoices{{{"red", 1}, {"blue", 2}}};
  const auto one = [](const char* xml, const Element::Reader& reader) { return read(xml, reader); };
  expect_refused(one("<a k='10'/>", [](Element& e) { (void)e.integer("k", 0, 9); }), 1, "a k", "from 0 to 9");
  expect_refused(one("<a k='nan'/>", [](Element& e) { (void)e.real("k", 0, 0.5); }), 1, "a k", "from 0 to 0.5");
  expect_refused(one("<a k='9'/>", [](Element& e) { (void)e.duration("k", 1us, 2s); }), 1, "a k", "from 1us to 2s");
  expect_refused(one("<a k='9'/>", [](Element& e) { (void)e.size("k", 0, 4096); }), 1, "a k", "0 to 4096 bytes");
  expect_refused(one("<a k='yes'/>", [](Element& e) { (void)e.boolean("k"); }), 1, "a k", "none of false, true");
  expect_refused(one("<a k='pink'/>", [&](Element& e) { (void)e.choice<int>("k", kChoices); }), 1, "a k", "red, blue");
  expect_refused(one("<a k=''/>", [](Element& e) { (void)e.text("k"); }), 1, "a k", "1 to 1023 bytes");
  expect_refused(one("<a k='../x'/>", [](Element& e) { (void)e.name("k"); }), 1, "a k", "is no name");
  expect_refused(one("<a k='1 2'/>", [](Element& e) { (void)e.reals("k", 3, 0, 9); }), 1, "a k", "3 numbers");
  expect_refused(one("<a k='1 12'/>", [](Element& e) { (void)e.integers("k", 4, 0, 9); }), 1, "a k", "from 0 to 9");
  expect_refused(one("<a k='1 2 3'/>", [](Element& e) { (void)e.words("k", 2); }), 1, "a k", "1 to 2 words");
  expect_refused(one("<a/>", [](Element& e) { (void)e.text("k"); }), 1, "a k", "is missing");
}

TEST(Element, GivesTheFallbackOnlyForWhatIsMissing) {
  EXPECT_TRUE(read("<a n='7'/>", [](Element& e) {
    EXPECT_EQ(e.integer("n", 0, 9, 5), 7);
    EXPECT_EQ(e.integer("m", 0, 9, 5), 5);
    EXPECT_EQ(e.duration("d", 1ms, 2ms, Duration{0}), Duration{0});
    EXPECT_TRUE(e.boolean("b", true));
    EXPECT_EQ(e.text("t", "x"), "x");
    EXPECT_TRUE(e.words("w", 3, false).empty());
  }));
}

TEST(Element, CountsItsChildren) {
  const auto reader = [](Element& e) { e.each("c", 1, 2, [](Element&) {}); };
  EXPECT_TRUE(read("<a><c/><c/></a>", reader));
  expect_refused(read("<a/>", reader), 1, "a", "at least 1 <c>, has 0");
  expect_refused(read("<a><c/><c/>\n<c/></a>", reader), 2, "c", "2 of it at most in <a>");
}

TEST(Element, RefusesTheSecondUseOfAName) {
  std::set<std::string> taken;
  const auto twice = read("<a><c n='x'/>\n<c n='x'/></a>", [&](Element& e) {
    e.each("c", 0, 9, [&](Element& c) { c.unique(taken, "n", c.name("n")); });
  });
  expect_refused(twice, 2, "c n", "'x' is there twice");
}

TEST(ReadText, SaysWhyAFileCannotBeRead) {
  const test::Folder folder;
  expect_refused(read_text(folder.path() / "none"), 0, "", "does not exist");
  expect_refused(read_text(folder.path()), 0, "", "not a regular file");
  std::string large(kMaxFileBytes, 'x');
  EXPECT_TRUE(read_text(folder.put("fits", large)));
  expect_refused(read_text(folder.put("large", large + "x")), 0, "", "over 16 MiB");
}

}  // namespace
}  // namespace takt::files
