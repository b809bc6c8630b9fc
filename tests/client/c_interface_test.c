/* takt.h as a C program sees it: compiles as C11, links libtakt.so, and fails politely without a broker. */
#include <stdio.h>
#include <string.h>

#include "takt/takt.h"

static int check(int holds, const char* what) {
  if (!holds) fprintf(stderr, "failed: %s\n", what);
  return holds ? 0 : 1;
}

int main(void) {
  int failures = 0;
  takt_client* client = NULL;
  takt_stream_config config;
  takt_answer answer;
  memset(&answer, 0, sizeof answer);
  takt_stream_config_init(&config);
  failures += check(takt_abi_version() == TAKT_ABI_VERSION, "the library has the header's version");
  failures += check(config.struct_size == sizeof config, "struct_size is set");
  failures += check(config.criticality == TAKT_SOFT && config.slots == 4, "defaults are set");
  failures += check(takt_connect("no-such-socket", "c", &client) == TAKT_E_DISCONNECTED, "nobody listens");
  failures += check(client == NULL, "no client is made");
  failures += check(strlen(takt_last_error(NULL)) > 0, "the reason is told");
  failures += check(takt_now_ns() > 0, "the clock runs");
  failures += check(takt_next_answer(client, &answer) == 0, "no client has no answers");
  printf("%s\n", failures == 0 ? "ok" : "not ok");
  return failures;
}
