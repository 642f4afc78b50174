#include "upstream/table_builder.h"

#include <chrono>
#include <utility>

namespace millrace {

TableBuilder::~TableBuilder() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void TableBuilder::add(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

std::vector<std::unique_ptr<TableBuilder::Job>> TableBuilder::takeDone() {
  std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

void TableBuilder::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // Not wait(): in libstdc++ that one is newer than the oldest that the package promises.
    while (!stop_ && waiting_.empty()) wake_.wait_for(lock, std::chrono::hours(1));
    if (stop_) return;
    std::unique_ptr<Job> job = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    lock.unlock();
    job->run();
    lock.lock();
    done_.push_back(std::move(job));
    onDone_();
  }
}

}  // namespace millrace
