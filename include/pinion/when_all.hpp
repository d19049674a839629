// Several tasks at once.
#pragma once

#include <pinion/detail/join.hpp>
#include <pinion/task.hpp>

#include <array>
#include <tuple>
#include <utility>
#include <vector>

namespace pinion {

namespace detail {

template <class... Ts>
Task<std::tuple<NotVoid<Ts>...>> when_all_of(std::tuple<Task<Ts>...> tasks) {
  {
    auto make = [](Task<Ts>&... each) {
      return std::array<Join, sizeof...(Ts)>{join<Ts>(TaskAccess::frame(each))...};
    };
    std::array<Join, sizeof...(Ts)> children = std::apply(make, tasks);
    co_await JoinAwaiter(children);
  }
  // Braces: the elements are taken from left to right, so the first error by position is thrown.
  auto take = [](Task<Ts>&... each) {
    return std::tuple<NotVoid<Ts>...>{take_outcome<Ts>(each)...};
  };
  co_return std::apply(take, tasks);
}

}  // namespace detail

/// Runs the tasks at once on this event loop and gives their results, in their order; that of a
/// `Task<void>` is `std::monostate`. Waits for all of them, also when some fail; then the error of
/// the first of these, by position, is thrown. O(1) per task.
template <class... Ts>
Task<std::tuple<detail::NotVoid<Ts>...>> when_all(Task<Ts>... tasks) {
  (detail::require_awaitable(tasks.valid()), ...);
  return detail::when_all_of<Ts...>(std::tuple<Task<Ts>...>(std::move(tasks)...));
}

/// The same for any number of tasks of one type.
template <class T>
Task<std::vector<detail::NotVoid<T>>> when_all(std::vector<Task<T>> tasks) {
  {
    std::vector<detail::Join> children;
    children.reserve(tasks.size());
    for (Task<T>& task : tasks) {
      detail::require_awaitable(task.valid());
      children.push_back(detail::join<T>(detail::TaskAccess::frame(task)));
    }
    co_await detail::JoinAwaiter(children);
  }
  std::vector<detail::NotVoid<T>> results;
  results.reserve(tasks.size());
  for (Task<T>& task : tasks) results.push_back(detail::take_outcome<T>(task));
  co_return results;
}

}  // namespace pinion
