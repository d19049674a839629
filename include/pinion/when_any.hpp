// The first of several tasks.
#pragma once

#include <pinion/detail/join.hpp>
#include <pinion/task.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace pinion {

/// Which task of several has ended first, and its result; that of a `Task<void>` is
/// `std::monostate`.
template <class T>
struct FirstResult {
  std::size_t index;
  detail::NotVoid<T> value;
};

namespace detail {

template <std::size_t i = 0, class Variant, class... Ts>
void take_first(std::size_t first, std::tuple<Task<Ts>...>& tasks, std::optional<Variant>& result) {
  if constexpr (i < sizeof...(Ts)) {
    if (i == first)
      result.emplace(std::in_place_index<i>, take_outcome(std::get<i>(tasks)));
    else
      take_first<i + 1>(first, tasks, result);
  }
}

template <class... Ts>
Task<std::variant<NotVoid<Ts>...>> when_any_of(std::tuple<Task<Ts>...> tasks) {
  std::size_t first = 0;
  {
    auto make = [](Task<Ts>&... each) {
      return std::array<Join, sizeof...(Ts)>{join<Ts>(TaskAccess::frame(each))...};
    };
    ChildScope scope;
    std::array<Join, sizeof...(Ts)> children = std::apply(make, tasks);
    first = co_await JoinAwaiter(children, &scope, true);
  }
  std::optional<std::variant<NotVoid<Ts>...>> result;
  take_first(first, tasks, result);
  co_return std::move(*result);
}

template <class T>
Task<FirstResult<T>> when_any_of(std::vector<Task<T>> tasks) {
  std::size_t first = 0;
  {
    ChildScope scope;
    std::vector<Join> children;
    children.reserve(tasks.size());
    for (Task<T>& task : tasks) children.push_back(join<T>(TaskAccess::frame(task)));
    first = co_await JoinAwaiter(children, &scope, true);
  }
  co_return FirstResult<T>{first, take_outcome<T>(tasks[first])};
}

}  // namespace detail

/// Runs the tasks at once on this event loop until the first one ends, by its value or its error;
/// cancels the others, waits until these have ended as well, and then gives that result or throws
/// that error. The variant's `index()` says which one it was. What the others end with is dropped,
/// also what one of them has received at the same time: where nothing may be lost, use
/// `with_timeout`, which keeps it.
/// Tasks that come after one that ends without waiting are not begun.
///
/// Throws `std::logic_error` for a task that was awaited before, and outside an event loop. O(1)
/// per task, and O(pending operations) for the cancellation.
template <class... Ts>
Task<std::variant<detail::NotVoid<Ts>...>> when_any(Task<Ts>... tasks) {
  static_assert(sizeof...(Ts) != 0, "when_any: there is no first one of no tasks");
  (detail::require_awaitable(tasks.valid()), ...);
  return detail::when_any_of<Ts...>(std::tuple<Task<Ts>...>(std::move(tasks)...));
}

/// The same for any number of tasks of one type; `std::invalid_argument` for none.
template <class T>
Task<FirstResult<T>> when_any(std::vector<Task<T>> tasks) {
  if (tasks.empty())
    throw std::invalid_argument("pinion::when_any: there is no first one of no tasks");
  for (const Task<T>& task : tasks) detail::require_awaitable(task.valid());
  return detail::when_any_of<T>(std::move(tasks));
}

}  // namespace pinion
