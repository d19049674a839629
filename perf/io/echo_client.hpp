// The other end of the echo: many connections over Unix sockets, a message on each at a time.
#pragma once

#include <string>

namespace pinion::perf {

/// A name that lies in no file system, and is this process's own.
std::string echo_name();

/// A socket that listens there; the caller's to close.
int listen_at(const std::string& name);

/// Connects to `name` as often as sizes say, once somebody listens there, and sends message after
/// message on all of them, each when those before it have come back. Returns the seconds that all
/// messages took. The first round is not measured: in it, connections are accepted.
double run_client(const std::string& name);

}  // namespace pinion::perf
