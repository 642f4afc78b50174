// The ring between a worker and a flush thread; see ring.h.
#include "flush/ring.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace millrace {

struct FlushRing::Segment {
  explicit Segment(size_t bytes)
      : capacity(bytes), data(std::make_unique_for_overwrite<char[]>(bytes)) {}
  const size_t capacity;
  const std::unique_ptr<char[]> data;
  alignas(64) std::atomic<uint64_t> head{0};  // written by the producer
  // Owned. Set by the producer after its last store to head: who sees it sees the final head.
  std::atomic<Segment*> next{nullptr};
  alignas(64) std::atomic<uint64_t> tail{0};  // written by the consumer
};

namespace {

// A counter with one writer.
void bump(std::atomic<uint64_t>& counter, uint64_t by, std::memory_order order) {
  counter.store(counter.load(std::memory_order_relaxed) + by, order);
}

}  // namespace

FlushRing::FlushRing(const Limits& limits, FlushWaker* waker) : limits_(limits), waker_(waker) {
  writing_ = reading_ = std::make_unique<Segment>(limits.segmentBytes).release();
  allocated_.store(limits.segmentBytes, std::memory_order_relaxed);
}

FlushRing::~FlushRing() {
  std::unique_ptr<Segment> s(reading_);
  while (s != nullptr) s.reset(s->next.load(std::memory_order_acquire));
}

void FlushRing::copyIn(const void* from, size_t size) {
  const char* p = static_cast<const char*>(from);
  const size_t untilEnd = std::min(size, writing_->capacity - writeOffset_);
  std::memcpy(writing_->data.get() + writeOffset_, p, untilEnd);
  if (untilEnd < size) {
    std::memcpy(writing_->data.get(), p + untilEnd, size - untilEnd);
    writeOffset_ = size - untilEnd;
  } else {
    writeOffset_ += untilEnd;
    if (writeOffset_ == writing_->capacity) writeOffset_ = 0;
  }
}

bool FlushRing::write(std::string_view record, uint64_t stampNs) {
  if (offer(record, stampNs)) return true;
  drop(record.size());
  return false;
}

void FlushRing::drop(size_t bytes) {
  bump(droppedLines_, 1, std::memory_order_relaxed);
  bump(droppedBytes_, bytes, std::memory_order_relaxed);
}

// The segment that is written to is never freed, so a longer record needs room beside it.
bool FlushRing::fitsEver(size_t size) const {
  const size_t need = kHeaderBytes + size;
  if (need > kMaxRecordBytes) return false;
  return need <= writing_->capacity || need + writing_->capacity <= limits_.maxBytes;
}

bool FlushRing::offer(std::string_view record, uint64_t stampNs) {
  if (record.empty()) return true;
  const size_t need = kHeaderBytes + record.size();
  if (need > writing_->capacity - (head_ - tailSeen_) && !makeRoom(need)) [[unlikely]]
    return false;
  static_assert(sizeof(Head) == kHeaderBytes);
  const Head head{stampNs, uint32_t(record.size())};
  copyIn(&head, sizeof head);
  copyIn(record.data(), record.size());
  head_ += need;
  rawIn_ += need;
  bump(bytes_, record.size(), std::memory_order_relaxed);
  writing_->head.store(head_, std::memory_order_release);
  bump(lines_, 1, std::memory_order_release);
  if (rawIn_ - rawOutSeen_ >= limits_.fillMark) [[unlikely]]
    askForFlush();
  return true;
}

// Room for `need` bytes in one segment: what the consumer freed meanwhile, or another segment
// within the bound.
bool FlushRing::makeRoom(size_t need) {
  if (need > kMaxRecordBytes) return false;
  tailSeen_ = writing_->tail.load(std::memory_order_acquire);
  if (need <= writing_->capacity - (head_ - tailSeen_)) return true;
  const size_t allocated = allocated_.load(std::memory_order_relaxed);
  if (allocated >= limits_.maxBytes) return false;
  const size_t size = std::min(std::max(limits_.segmentBytes, need), limits_.maxBytes - allocated);
  if (size < need) return false;
  Segment* added = std::make_unique<Segment>(size).release();
  allocated_.fetch_add(size, std::memory_order_relaxed);
  bump(grown_, 1, std::memory_order_relaxed);
  writing_->next.store(added, std::memory_order_release);
  writing_ = added;
  head_ = tailSeen_ = 0;
  writeOffset_ = 0;
  return true;
}

// Above the mark. At most one wake-up is under way for each ring: exchange() orders our commit
// before the consumer's own exchange() in committed(), so the pass it starts sees what we wrote.
void FlushRing::askForFlush() {
  rawOutSeen_ = rawOut_.load(std::memory_order_relaxed);
  if (rawIn_ - rawOutSeen_ < limits_.fillMark) return;
  if (limits_.deferWake && rawIn_ - rawOutSeen_ < limits_.maxBytes / 4) {
    if (!asked_.load(std::memory_order_relaxed)) wakeWanted_ = true;
    return;
  }
  if (!asked_.exchange(true, std::memory_order_acq_rel)) waker_->wake();
}

void FlushRing::wake() {
  if (!asked_.exchange(true, std::memory_order_acq_rel)) waker_->wake();
}

FlushRing::Counts FlushRing::counts() const {
  Counts c;
  c.lines = lines_.load(std::memory_order_acquire);
  c.bytes = bytes_.load(std::memory_order_relaxed);
  c.droppedLines = droppedLines_.load(std::memory_order_relaxed);
  c.droppedBytes = droppedBytes_.load(std::memory_order_relaxed);
  c.grown = grown_.load(std::memory_order_relaxed);
  return c;
}

uint64_t FlushRing::committed() {
  asked_.exchange(false, std::memory_order_acq_rel);
  return lines_.load(std::memory_order_acquire);
}

bool FlushRing::finished() const {
  // In this order: closed first, then what was written before it closed.
  return closed_.load(std::memory_order_acquire) &&
         taken_ == lines_.load(std::memory_order_acquire);
}

void FlushRing::copyOut(const Segment& s, size_t offset, void* to, size_t size) {
  const size_t untilEnd = std::min(size, s.capacity - offset);
  std::memcpy(to, s.data.get() + offset, untilEnd);
  std::memcpy(static_cast<char*>(to) + untilEnd, s.data.get(), size - untilEnd);
}

FlushRing::Head FlushRing::peek() {
  if (peeked_) return next_;
  while (reading_->head.load(std::memory_order_acquire) == tail_) {
    // The record is in a later segment: this one is empty for good.
    Segment* next = reading_->next.load(std::memory_order_acquire);
    MR_ASSERT(next != nullptr);
    if (reading_->head.load(std::memory_order_acquire) != tail_) break;
    allocated_.fetch_sub(reading_->capacity, std::memory_order_relaxed);
    std::unique_ptr<Segment> emptied(reading_);
    if (keepSegments_) emptied.release();  // the process is about to end
    reading_ = next;
    tail_ = 0;
    readOffset_ = 0;
  }
  copyOut(*reading_, readOffset_, &next_, sizeof next_);
  peeked_ = true;
  return next_;
}

void FlushRing::take(char* out) {
  copyPart(0, next_.size, out);
  skip();
}

void FlushRing::copyPart(size_t offset, size_t size, char* out) const {
  MR_DASSERT(peeked_);
  const Segment& s = *reading_;
  copyOut(s, (readOffset_ + kHeaderBytes + offset) % s.capacity, out, size);
}

void FlushRing::skip() {
  MR_DASSERT(peeked_);
  const size_t total = kHeaderBytes + next_.size;
  readOffset_ = (readOffset_ + total) % reading_->capacity;
  tail_ += total;
  taken_++;
  peeked_ = false;
  reading_->tail.store(tail_, std::memory_order_release);
  bump(rawOut_, total, std::memory_order_relaxed);
}

}  // namespace millrace
