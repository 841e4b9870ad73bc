#include "bitgrad/core/recorded_work.h"

#include <vector>

#include "bitgrad/core/device_array.h"
#include "bitgrad/ops/dispatch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::Each;
using testing::HasSubstr;

class RecordedWorkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = DeviceStatus(Device::kCuda); !status.ok()) GTEST_SKIP() << status.message();
  }

  void Fill(float value, DeviceArray<float>& x) {
    KernelsFor(Device::kCuda).fill_f32(context_, value, x.data(), x.count());
  }
  // y += alpha x
  void Add(float alpha, DeviceArray<float>& x, DeviceArray<float>& y) {
    KernelsFor(Device::kCuda).scale_f32(context_, alpha, x.data(), /*accumulate=*/true, y.data(), y.count());
  }
  std::unique_ptr<RecordedWork> Record(const std::function<void()>& code) {
    auto work = RecordedWork::Record(context_, [&] {
      code();
      return absl::OkStatus();
    });
    EXPECT_TRUE(work.ok()) << work.status();
    return *std::move(work);
  }

  ExecContext context_{{.device = Device::kCuda}};
};

TEST_F(RecordedWorkTest, RunsWhenItIsEnqueuedAndNotBefore) {
  DeviceArray<float> x(context_, 100), y(context_, 100);
  Fill(1, x);
  const auto work = Record([&] { Add(2, x, y); });
  EXPECT_THAT(y.Download(), Each(0));
  work->Enqueue();
  EXPECT_THAT(y.Download(), Each(2));
  Fill(10, x);  // the contents behind a pointer may change from run to run
  work->Enqueue();
  work->Enqueue();
  EXPECT_THAT(y.Download(), Each(42));
}

// Fills, copies and kernels are recorded in their order, and with memory of the pool.
TEST_F(RecordedWorkTest, KeepsTheOrder) {
  DeviceArray<float> y(context_, 300);
  const auto work = Record([&] {
    DeviceArray<float> scratch(context_, 300);  // zeroed
    Fill(3, scratch);
    DeviceArray<float> more(context_, 300);
    Add(1, scratch, more);
    context_.allocator().Copy(y.data(), more.data(), 300 * sizeof(float));
    context_.allocator().Zero(y.data(), sizeof(float));
  });
  for (int run = 0; run < 2; ++run) {
    Fill(-1, y);
    work->Enqueue();
    std::vector<float> expected(300, 3.0f);
    expected[0] = 0;
    EXPECT_EQ(y.Download(), expected);
  }
}

// Memory that the work has given back to the pool stays reserved, because every run uses it.
TEST_F(RecordedWorkTest, NobodyElseGetsItsMemory) {
  DeviceArray<float> y(context_, 1000);
  { const DeviceArray<float> free_before(context_, 1000); }
  const size_t before = context_.allocator().live_bytes();
  {
    const auto work = Record([&] {
      DeviceArray<float> scratch(context_, 1000);
      Fill(5, scratch);
      Add(1, scratch, y);
    });
    std::vector<std::unique_ptr<DeviceArray<float>>> others;
    for (int i = 0; i < 4; ++i) {
      others.push_back(std::make_unique<DeviceArray<float>>(context_, 1000));
      Fill(static_cast<float>(i), *others.back());
    }
    work->Enqueue();
    EXPECT_THAT(y.Download(), Each(5));
    for (int i = 0; i < 4; ++i) EXPECT_THAT(others[i]->Download(), Each(i));
    EXPECT_GT(context_.allocator().live_bytes(), before + 4 * 1000 * sizeof(float));
  }
  EXPECT_EQ(context_.allocator().live_bytes(), before);
}

TEST_F(RecordedWorkTest, AnErrorOfTheCodeIsItsResult) {
  const size_t before = context_.allocator().live_bytes();
  DeviceArray<float> y(context_, 10);
  const auto work = RecordedWork::Record(context_, [&] {
    DeviceArray<float> scratch(context_, 10);
    Fill(1, y);
    return absl::InvalidArgumentError("not today");
  });
  EXPECT_THAT(std::string(work.status().message()), HasSubstr("not today"));
  EXPECT_THAT(y.Download(), Each(0));  // the stream runs work again
  Fill(2, y);
  EXPECT_THAT(y.Download(), Each(2));
  EXPECT_LE(context_.allocator().live_bytes(), before + 10 * sizeof(float) + 64);
}

// The step of a random number is read when the work runs.
TEST_F(RecordedWorkTest, RandomNumbersAreThoseOfTheStep) {
  DeviceArray<float> x(context_, 1000), recorded(context_, 1000), expected(context_, 1000);
  Fill(1, x);
  DeviceArray<uint32_t> step(context_, 1);
  const Kernels& kernels = KernelsFor(Device::kCuda);
  RngStream rng = {.seed = 5, .purpose = RngPurpose::kDropout, .step = 77, .stream = 2, .device_step = step.data()};
  const auto work = Record([&] { kernels.dropout(context_, 0.5f, 0.5f, rng, x.data(), recorded.data(), 1000); });
  for (const uint32_t now : {3u, 4u}) {
    context_.Upload(step.data(), &now, sizeof(now));
    work->Enqueue();
    kernels.dropout(context_, 0.5f, 0.5f, {.seed = 5, .purpose = RngPurpose::kDropout, .step = now, .stream = 2},
                    x.data(), expected.data(), 1000);
    EXPECT_EQ(recorded.Download(), expected.Download()) << "step " << now;
  }
}

TEST_F(RecordedWorkTest, FeedsAndReadbacksKeepTheirOrder) {
  DeviceArray<float> in(context_, 500), out(context_, 500);
  const auto feed = context_.stream()->NewFeed(in.data(), 500 * sizeof(float));
  const auto readback = context_.stream()->NewReadback(out.data(), 500 * sizeof(float));
  ASSERT_TRUE(feed.ok()) << feed.status();
  ASSERT_TRUE(readback.ok()) << readback.status();
  const auto work = Record([&] { Add(1, in, out); });
  float sum = 0;
  std::vector<float> sums;
  size_t read = 0;
  const auto next = [&] {
    const auto* const values = static_cast<const float*>((*readback)->Next());
    EXPECT_THAT(std::vector<float>(values, values + 500), Each(sums[read])) << "readback " << read;
    ++read;
  };
  for (int i = 0; i < 9; ++i) {
    std::vector<float> values(500, static_cast<float>(i + 1));
    (*feed)->Send(values.data());
    values.assign(500, -99);  // Send() has finished reading it
    work->Enqueue();
    sums.push_back(sum += static_cast<float>(i + 1));
    (*readback)->Enqueue();
    if (sums.size() - read == DeviceStream::kReadbacks) next();
  }
  while (read < sums.size()) next();
  EXPECT_TRUE(context_.Synchronize().ok()) << context_.status();
}

}  // namespace
}  // namespace bitgrad
