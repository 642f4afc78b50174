// A thread that builds what takes long, so that the main thread need not: it takes jobs in turn and
// hands them back when they are done. Main thread, but for the thread itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace millrace {

class TableBuilder {
 public:
  class Job {
   public:
    virtual ~Job() = default;  // main thread
    virtual void run() = 0;    // the builder's thread
  };
  // `onDone` is called on the builder's thread when a job is done; it asks for takeDone().
  explicit TableBuilder(std::function<void()> onDone) : onDone_(std::move(onDone)) {}
  // Waits for the job that runs; jobs that do not run yet never will.
  ~TableBuilder();
  TableBuilder(const TableBuilder&) = delete;
  TableBuilder& operator=(const TableBuilder&) = delete;

  // The thread begins with the first job.
  void add(std::unique_ptr<Job> job);
  // What was done since the last call, in the order of add().
  std::vector<std::unique_ptr<Job>> takeDone();

 private:
  void work();

  const std::function<void()> onDone_;
  std::mutex mutex_;  // between these two threads; no worker knows it
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Job>> waiting_, done_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace millrace
