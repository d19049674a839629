// Everything that pinion offers.
#pragma once

#include <pinion/async_result.hpp>
#include <pinion/chunking.hpp>
#include <pinion/codec.hpp>
#include <pinion/errors.hpp>
#include <pinion/exception.hpp>
#include <pinion/files.hpp>
#include <pinion/fn.hpp>
#include <pinion/info.hpp>
#include <pinion/init.hpp>
#include <pinion/io.hpp>
#include <pinion/kinds.hpp>
#include <pinion/options.hpp>
#include <pinion/placement.hpp>
#include <pinion/pool.hpp>
#include <pinion/process.hpp>
#include <pinion/remote_call.hpp>
#include <pinion/sleep.hpp>
#include <pinion/sockets.hpp>
#include <pinion/stream.hpp>
#include <pinion/task.hpp>
#include <pinion/this_worker.hpp>
#include <pinion/time_limit.hpp>
#include <pinion/topo.hpp>
#include <pinion/wait.hpp>
#include <pinion/when_all.hpp>
