// The loop of a flush thread: take orders, merge rings into blocks, write them, wait.
//
//   pass ──all written──▶ wait for interval, mark or order ──▶ pass
//    ├──would block──▶ wait until the file is writable, or an order ──▶ pass
//    └──failed──▶ wait with back-off, or an order ──▶ pass
#include "flush/flush_thread.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "flush/process_end.h"

namespace millrace {

FlushThread::FlushThread(std::shared_ptr<FlushShared> shared, std::unique_ptr<FlushSink> sink)
    : shared_(std::move(shared)), sink_(std::move(sink)), block_(kBlockBytes) {
  lineEnds_.reserve(kLinesReserved);
}

void FlushThread::run() {
  while (turn()) {
  }
}

// False: the thread has ended.
bool FlushThread::turn() {
  FlushPen& pen = shared_->pen;
  if (pen.claimed() || !pen.tryTake()) {
    for (;;) pause();  // the process ends: a signal handler has taken over
  }
  const Orders orders = takeOrders();
  if (orders.rotation) beginRotation();
  Outcome outcome = pass();
  if (outcome == Outcome::kDone) rotateWhenDue();
  if (orders.reopen > reopenServed_ && !shared_->abandoned) {
    serveReopen(orders.reopen);
    if (outcome != Outcome::kDone) outcome = pass();
  }
  if (outcome == Outcome::kDone) outcome = sync();
  if (outcome == Outcome::kDone) {
    completeFlush(orders.flush, 0);
    noteDrained();
  } else if (outcome == Outcome::kFailed && shared_->options.onProgress) {
    completeFlush(orders.flush, lastErrno_);
  }
  pen.drop();
  if (shared_->abandoned) return false;
  deliverNotes();
  const bool over = outcome == Outcome::kDone || shared_->hopeless;
  if (orders.stopping() && (over || monotonicNs() >= orders.deadlineNs)) {
    finish();
    return false;
  }
  wait(outcome, orders);
  return true;
}

FlushThread::Orders FlushThread::takeOrders() {
  shared_->waker->drain();
  std::lock_guard lock(shared_->mutex);
  auto& rings = shared_->rings;
  const bool changed = shared_->ringsChanged;
  const auto removed = std::remove_if(rings.begin(), rings.end(), [this](const auto& ring) {
    if (!ring->finished()) return false;
    const FlushRing::Counts c = ring->counts();
    FlushStats& t = shared_->totals;
    t.acceptedLines += c.lines;
    t.acceptedBytes += c.bytes;
    t.droppedLines += c.droppedLines;
    t.droppedBytes += c.droppedBytes;
    t.ringsGrown += c.grown;
    return true;
  });
  if (changed || removed != rings.end()) {
    rings.erase(removed, rings.end());
    sources_.clear();
    for (const auto& ring : rings) sources_.push_back({ring, 0});
    shared_->ringsChanged = false;
  }
  const bool rotation = std::exchange(shared_->rotationChanged, false);
  return {shared_->flushAsked, shared_->reopenAsked, shared_->stopDeadlineNs, rotation};
}

// Writes what is left of the block, then all that the rings held when the pass began.
FlushThread::Outcome FlushThread::pass() {
  nextPassNs_ = monotonicNs() + uint64_t{shared_->options.intervalMs} * kNsPerMs;
  if (const Outcome rest = writeBlock(); rest != Outcome::kDone) return rest;
  for (Source& s : sources_) s.target = s.ring->committed();
  while (collect()) {
    if (const Outcome o = writeBlock(); o != Outcome::kDone) return o;
  }
  return Outcome::kDone;
}

// Fills the (empty) block, oldest stamp first. A run of records of one ring that is older than all
// others is taken in one go, so that merging costs little when a worker stamps by turns of its
// loop.
bool FlushThread::collect() {
  blockSize_ = written_ = linesWritten_ = 0;
  lineEnds_.clear();
  while (blockSize_ < kBlockBytes) {
    Source* oldest = nullptr;
    uint64_t oldestNs = 0;
    uint64_t othersNs = UINT64_MAX;
    for (Source& s : sources_) {
      if (s.ring->taken() == s.target) continue;
      const uint64_t stampNs = s.ring->peek().stampNs;
      if (oldest == nullptr || stampNs < oldestNs) {
        if (oldest != nullptr) othersNs = oldestNs;
        oldest = &s;
        oldestNs = stampNs;
      } else {
        othersNs = std::min(othersNs, stampNs);
      }
    }
    if (oldest == nullptr) break;
    FlushRing& ring = *oldest->ring;
    do {
      append(ring, ring.peek());
    } while (blockSize_ < kBlockBytes && ring.taken() < oldest->target &&
             ring.peek().stampNs <= othersNs);
  }
  return blockSize_ != 0;
}

void FlushThread::append(FlushRing& ring, const FlushRing::Head& head) {
  if (blockSize_ + head.size > block_.size()) block_.resize(blockSize_ + head.size);
  ring.take(block_.data() + blockSize_);
  blockSize_ += head.size;
  lineEnds_.push_back(blockSize_);
}

FlushThread::Outcome FlushThread::writeBlock() {
  // A pipe whose reader left: perhaps another one waits behind the same path.
  if (written_ < blockSize_ && failing_ && lastErrno_ == EPIPE) {
    if (const Status s = reopenSink(); !s.ok()) return failed(s.error().sysErrno);
  }
  if (rotator_.on() && written_ < blockSize_ && atLineStart()) followPath();
  while (written_ < blockSize_) {
    if (shared_->abandoned || shared_->pen.claimed()) return Outcome::kAbandoned;
    if (shared_->stopDeadlineNs != FlushShared::kNever &&
        monotonicNs() >= shared_->stopDeadlineNs) {
      return Outcome::kDeadline;
    }
    const size_t end = rotator_.bySize() ? endInFile() : blockSize_;
    const ssize_t n = sink_->write(block_.data() + written_, end - written_);
    if (n == 0) return Outcome::kWouldBlock;
    if (n < 0) return failed(int(-n));
    rotator_.wrote(size_t(n));
    if (!countWritten(size_t(n))) return Outcome::kAbandoned;
  }
  return Outcome::kDone;
}

// False: stop() has given up on this thread and has counted these bytes as lost.
bool FlushThread::countWritten(size_t bytes) {
  const bool recovered = failing_;
  written_ += bytes;
  uint64_t lines = 0;
  while (linesWritten_ < lineEnds_.size() && lineEnds_[linesWritten_] <= written_) {
    linesWritten_++;
    lines++;
  }
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->abandoned) return false;
    shared_->totals.writtenBytes += bytes;
    shared_->totals.writtenLines += lines;
    shared_->totals.failing = false;
  }
  unsynced_ = true;
  failing_ = false;
  retryNs_ = kRetryMinNs;
  if (recovered) tell(FlushEvent::kRecovered, 0);
  return true;
}

FlushThread::Outcome FlushThread::failed(int sysErrno) {
  const bool first = !failing_;
  failing_ = true;
  lastErrno_ = sysErrno;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->abandoned) return Outcome::kAbandoned;
    shared_->totals.failing = true;
    shared_->totals.lastErrno = sysErrno;
    shared_->totals.writeErrors++;
    shared_->hopeless = sink_->hopeless(sysErrno);
  }
  if (shared_->hopeless) shared_->changed.notify_all();
  nextRetryNs_ = monotonicNs() + retryNs_;
  retryNs_ = std::min(retryNs_ * 2, kRetryMaxNs);
  if (first) tell(FlushEvent::kFailing, sysErrno);
  return Outcome::kFailed;
}

void FlushThread::tell(FlushEvent::Kind kind, int sysErrno) {
  if (shared_->options.onEvent) events_.push_back({kind, sysErrno});
}

// With the pen dropped: what is called may take locks that a thread holds which was interrupted by
// a signal, whose handler waits for the pen.
void FlushThread::deliverNotes() {
  for (const FlushEvent& event : events_) shared_->options.onEvent(event);
  for (const FlushProgress& progress : progress_) shared_->options.onProgress(progress);
  events_.clear();
  progress_.clear();
}

// What a device refuses to keep cannot be written again: it is told as a failed write, once.
FlushThread::Outcome FlushThread::sync() {
  if (!shared_->options.fsync || !unsynced_) return Outcome::kDone;
  unsynced_ = false;
  const int sysErrno = sink_->sync();
  return sysErrno == 0 ? Outcome::kDone : failed(sysErrno);
}

void FlushThread::noteDrained() {
  bool wanted = false;
  for (Source& s : sources_) wanted |= s.ring->takeDrainWanted();
  if (wanted && shared_->options.onProgress) {
    progress_.push_back({FlushProgress::kDrained, 0, 0});
  }
}

// Opens the path anew. What is left of the block goes there; a line that was cut starts over if it
// would continue in another file, or before another reader.
Status FlushThread::reopenSink() {
  bool sameFile = true;
  if (Status s = sink_->reopen(sameFile); !s.ok()) return s;
  if (rotator_.on()) rotator_.opened();
  if (sameFile && lastErrno_ != EPIPE) return {};
  if (written_ > lineStart()) {
    std::lock_guard lock(shared_->mutex);
    if (!shared_->abandoned) shared_->totals.writtenBytes -= written_ - lineStart();
    written_ = lineStart();
  }
  return {};
}

// ---- Rotation -----------------------------------------------------------------------------------

void FlushThread::beginRotation() {
  FlushRotation rotation;
  {
    std::lock_guard lock(shared_->mutex);
    rotation = shared_->rotation;
  }
  rotator_.use(rotation);
  // What was written in a day that is over stays by itself.
  rotateWhenDue();
}

void FlushThread::followPath() {
  if (const int sysErrno = rotator_.follow(); sysErrno != 0) rotateFailed(sysErrno);
}

// Up to where the block is written to the file that is open now, or to a new one if its next line
// has no room: at least that line, and no part of one.
size_t FlushThread::endInFile() {
  const size_t nextEnd = lineEnds_[linesWritten_];
  const auto full = [&] {
    return atLineStart() && nextEnd - written_ > rotator_.room() && !rotator_.empty();
  };
  if (full()) rotate();
  if (full()) return blockSize_;  // there is no other file (now): better a large one than none
  const auto fits = std::upper_bound(lineEnds_.begin() + ptrdiff_t(linesWritten_), lineEnds_.end(),
                                     written_ + rotator_.room());
  return fits == lineEnds_.begin() ? nextEnd : std::max(nextEnd, *(fits - 1));
}

void FlushThread::rotate() {
  // What the old file holds is with the device before it gets out of sight.
  if (shared_->options.fsync && unsynced_) sync();
  switch (rotator_.moveAway()) {
    case FlushRotator::Moved::kNo:
      return;
    case FlushRotator::Moved::kFailed:
      return rotateFailed(rotator_.sysErrno());
    case FlushRotator::Moved::kYes:
      break;
  }
  rotateFailing_ = false;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->abandoned) return;
    shared_->totals.rotations++;
  }
  tell(FlushEvent::kRotated, 0);
}

void FlushThread::rotateWhenDue() {
  if (rotator_.due() && atLineStart()) rotate();
}

void FlushThread::rotateFailed(int sysErrno) {
  const bool first = !std::exchange(rotateFailing_, true);
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->abandoned) return;
    shared_->totals.rotateErrors++;
    shared_->totals.lastErrno = sysErrno;
  }
  if (first) tell(FlushEvent::kRotateFailed, sysErrno);
}

// Without the pen: until there is nothing to tidy, or something else to do.
void FlushThread::tidy(uint64_t untilNs) {
  pollfd fd{shared_->waker->fd(), POLLIN, 0};
  while (rotator_.tidyNs() <= monotonicNs() && monotonicNs() < untilNs && !shared_->abandoned &&
         ::poll(&fd, 1, 0) == 0) {
    if (const int sysErrno = rotator_.tidy(); sysErrno != 0) {
      rotateFailed(sysErrno);
    } else if (rotator_.tidyNs() == UINT64_MAX) {
      rotateFailing_ = false;
    }
  }
  deliverNotes();
}

void FlushThread::serveReopen(uint64_t ticket) {
  reopenServed_ = ticket;
  Status status = reopenSink();
  const int sysErrno = status.ok() ? 0 : status.error().sysErrno;
  {
    std::lock_guard lock(shared_->mutex);
    FlushStats& t = shared_->totals;
    if (status.ok()) {
      t.reopens++;
    } else {
      t.reopenErrors++;
      t.lastErrno = sysErrno;
    }
    shared_->reopenDone = ticket;
    shared_->reopenStatus = std::move(status);
  }
  shared_->changed.notify_all();
  if (sysErrno != 0) tell(FlushEvent::kReopenFailed, sysErrno);
  if (shared_->options.onProgress) {
    progress_.push_back({FlushProgress::kReopened, ticket, sysErrno});
  }
}

// A flush that failed is told as such to who does not wait for it; who waits goes on waiting, as
// the write is repeated.
void FlushThread::completeFlush(uint64_t ticket, int sysErrno) {
  if (flushServed_ != ticket && shared_->options.onProgress) {
    progress_.push_back({FlushProgress::kFlushed, ticket, sysErrno});
    flushServed_ = ticket;
  }
  if (sysErrno != 0) return;
  std::lock_guard lock(shared_->mutex);
  if (shared_->flushDone == ticket) return;
  shared_->flushDone = ticket;
  shared_->changed.notify_all();
}

void FlushThread::finish() {
  rotator_.end();
  bool retired;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->abandoned) return;  // whom it would tell may be gone
    shared_->exited = true;
    shared_->claim.reset();
    retired = shared_->retired;
    shared_->changed.notify_all();
  }
  if (shared_->options.onProgress) {
    shared_->options.onProgress({FlushProgress::kStopped, 0, 0});
  }
  if (retired && shared_->options.endDeadlineMs != 0) {
    const FlushStats s = shared_->stats();
    ProcessEnd::sayLoss(*shared_,
                        {s.bufferedLines, s.bufferedBytes, s.droppedLines, s.droppedBytes});
  }
}

void FlushThread::wait(Outcome outcome, const Orders& orders) {
  uint64_t untilNs = nextPassNs_;
  if (outcome == Outcome::kFailed) {
    // When stopping, the last retries come quickly: there is no later.
    untilNs = orders.stopping() ? monotonicNs() + kRetryMinNs : nextRetryNs_;
  }
  if (orders.stopping()) untilNs = std::min(untilNs, orders.deadlineNs);
  const bool idle = outcome == Outcome::kDone && !orders.stopping();
  if (idle) tidy(untilNs);
  const uint64_t nowNs = monotonicNs();
  if (idle) {
    const uint64_t leftMs = rotator_.leftMs();
    if (leftMs != UINT64_MAX) untilNs = std::min(untilNs, nowNs + leftMs * kNsPerMs);
    untilNs = std::min(untilNs, rotator_.tidyNs());
  }
  const uint64_t ms = untilNs <= nowNs ? 0 : (untilNs - nowNs + kNsPerMs - 1) / kNsPerMs;
  pollfd fds[2] = {{shared_->waker->fd(), POLLIN, 0}, {sink_->fd(), POLLOUT, 0}};
  ::poll(fds, outcome == Outcome::kWouldBlock ? 2 : 1, int(std::min<uint64_t>(ms, INT32_MAX)));
}

}  // namespace millrace
