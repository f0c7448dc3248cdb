// CUDA C on a CPU, for tests: the threads of a block take turns on one thread of the system, each until it waits for the
// others (__syncthreads) or ends. Blocks follow each other. So every run is the same run.
#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

struct Dimensions {
  int x = 0, y = 0, z = 0;
};
static Dimensions blockIdx, blockDim, gridDim, threadIdx;
static int* shared_memory;

#define __global__
#define __device__
#define __restrict__
#define __launch_bounds__(threads)
#define extern_shared(name) int* name = shared_memory

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool ended;
};
static ucontext_t scheduler;
static Fiber* running;
static void (*kernel_body)(void**);
static void** kernel_arguments;

inline void __syncthreads() { swapcontext(&running->context, &scheduler); }

// All threads of a block vote, not only those of a warp.
inline unsigned __ballot_sync(unsigned, bool vote) {
  static bool votes[1024];
  votes[threadIdx.x] = vote;
  __syncthreads();
  unsigned word = 0;
  for (int lane = 0; lane < 32; ++lane) word |= (unsigned)votes[threadIdx.x / 32 * 32 + lane] << lane;
  __syncthreads();
  return word;
}

inline int __popc(unsigned word) { return __builtin_popcount(word); }

static void run_fiber() {
  kernel_body(kernel_arguments);
  running->ended = true;  // and on to the scheduler, see uc_link
}

static void run_block(std::vector<Fiber>& fibers) {
  for (Fiber& fiber : fibers) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    fiber.ended = false;
    makecontext(&fiber.context, run_fiber, 0);
  }
  for (bool some = true; some;) {
    some = false;
    for (size_t k = 0; k < fibers.size(); ++k) {
      if (fibers[k].ended) continue;
      some = true, running = &fibers[k], threadIdx.x = k;
      swapcontext(&scheduler, &running->context);
    }
  }
}

// Shared memory begins with what no thread has written, in every block.
static void run_blocks(int rows, int columns, int threads, int shared_bytes) {
  std::vector<Fiber> fibers(threads);
  blockDim = {threads, 1, 1}, gridDim = {rows, columns, 1};
  for (blockIdx.y = 0; blockIdx.y < columns; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < rows; ++blockIdx.x) {
      std::vector<int> memory(shared_bytes / 4 + 1, 0x7f7f7f7f);
      shared_memory = memory.data();
      run_block(fibers);
    }
}

template <auto kernel>
struct Body;
template <class... Pointers, void (*kernel)(Pointers...)>
struct Body<kernel> {
  template <size_t... k>
  static void with(void** p, std::index_sequence<k...>) { kernel((Pointers)p[k]...); }
  static void run(void** p) { with(p, std::index_sequence_for<Pointers...>()); }
};

#define LAUNCH(kernel)                                                                               \
  extern "C" void run_##kernel(int rows, int columns, int threads, int shared_bytes, void** pointers) { \
    kernel_body = Body<kernel>::run, kernel_arguments = pointers;                                    \
    run_blocks(rows, columns, threads, shared_bytes);                                                \
  }
