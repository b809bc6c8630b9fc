// What stands beside every figure: the machine and how busy it was.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace takt::bench {

// CPU, cores, kernel, virtual or not, governor, load average, date. Reads /proc and /sys.
[[nodiscard]] nlohmann::json describe_machine();
// The same as lines for people.
void print_machine(const nlohmann::json& machine);
// Writes what a program measured; an empty path: nowhere. Ends the program if the file cannot be written.
void save(const std::string& path, const nlohmann::json& report);

// Ends the program with a line on standard error.
[[noreturn]] void give_up(const std::string& why);

}  // namespace takt::bench
