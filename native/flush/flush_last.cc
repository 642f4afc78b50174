// The last flush of a file, by the handler of a signal that ends the process. Everything here is
// async-signal-safe: atomics, write(2) and poll(2), no lock and no memory from the heap.
//
// The flush thread is asked to drop the pen, which it does after the write that is under way. What
// it had merged but not written goes first, from where it stopped: no line is written twice, and
// none is torn. If that write does not return (a disk that hangs) the pen is never free, and what
// is buffered is lost and counted.
#include "flush/flush_thread.h"

namespace millrace {

FlushThread::LastStep FlushThread::lastStep() {
  FlushShared& s = *shared_;
  if (s.abandoned) return LastStep::kDone;  // stop() has counted what it left
  s.pen.claim();
  if (!hasPen_ && !(hasPen_ = s.pen.tryTake())) return LastStep::kAgain;
  if (s.ringsBusy) return LastStep::kAgain;
  if (!last_) {
    last_ = true;
    for (const auto& ring : s.rings) {
      ring->keepSegments();
      ring->mark();
    }
  }
  do {
    if (const LastStep step = lastWrite(); step != LastStep::kDone) return step;
  } while (lastCollect());
  return LastStep::kDone;
}

// Fills the (empty) block, oldest stamp first, with what fits; false when nothing is left.
bool FlushThread::lastCollect() {
  blockSize_ = written_ = linesWritten_ = 0;
  lineEnds_.clear();
  while (lineEnds_.size() < lineEnds_.capacity()) {
    FlushRing* oldest = nullptr;
    for (const auto& ring : shared_->rings) {
      if (!ring->beforeMark()) continue;
      if (oldest == nullptr || ring->peek().stampNs < oldest->peek().stampNs) oldest = ring.get();
    }
    if (oldest == nullptr) break;
    const size_t size = oldest->peek().size - lastPart_;
    const size_t room = block_.size() - blockSize_;
    if (size > room && blockSize_ != 0) break;
    const size_t part = size < room ? size : room;
    oldest->copyPart(lastPart_, part, block_.data() + blockSize_);
    blockSize_ += part;
    if (part < size) {
      lastPart_ += part;
      break;
    }
    lastPart_ = 0;
    oldest->skip();
    lineEnds_.push_back(blockSize_);
  }
  return blockSize_ != 0;
}

FlushThread::LastStep FlushThread::lastWrite() {
  while (written_ < blockSize_) {
    const ssize_t n = sink_->write(block_.data() + written_, blockSize_ - written_);
    if (n == 0) return LastStep::kAgain;
    if (n < 0) return LastStep::kFailed;
    written_ += size_t(n);
    lastBytes_ += uint64_t(n);
    while (linesWritten_ < lineEnds_.size() && lineEnds_[linesWritten_] <= written_) {
      linesWritten_++;
      lastLines_++;
    }
  }
  return LastStep::kDone;
}

// Without the pen (a write hangs) the figures may be those of a moment ago.
FlushLoss FlushThread::lastLoss() const {
  if (shared_->abandoned) return {};
  const FlushStats& t = shared_->totals;
  FlushLoss loss{t.acceptedLines - t.writtenLines - lastLines_,
                 t.acceptedBytes - t.writtenBytes - lastBytes_, t.droppedLines, t.droppedBytes};
  if (shared_->ringsBusy) return loss;
  for (const auto& ring : shared_->rings) {
    const FlushRing::Counts c = ring->counts();
    loss.lines += c.lines;
    loss.bytes += c.bytes;
    loss.droppedLines += c.droppedLines;
    loss.droppedBytes += c.droppedBytes;
  }
  return loss;
}

}  // namespace millrace
