// LIF neurons over whole sequences on an NVIDIA GPU; the equations are those of snnlab.dynamics.lif_step.
//
// A block is one sample and up to 128 neurons; of a recurrent layer, whose neurons hear each other, it is one sample and all
// neurons. A thread is one neuron from the first step to the last, its state in registers. Arrays over time are (time,
// batch, neuron), so that the threads of a block read and write side by side.
// Every sum has a fixed order and no two threads add to the same number: the same input gives the same bits.
//
// Compiled with --fmad=false: every product and every sum is rounded by itself, as on other devices, or spikes would
// differ. `python -m snnlab.kernels.gpu.cuda.build` makes lif.ptx of this file; tests/kernels/cuda_on_cpu.h lets a C++
// compiler run it on a CPU. After every change of the arguments here, see snnlab/kernels/gpu/fused.py.

#ifndef extern_shared
#define extern_shared(name) extern __shared__ int name[]
#endif

// The entries of `options`, in the order of `fused.Call`.
struct Options {
  int steps, batch, neurons, units;
  int from_events;  // the input is events and weights, or else a current
  int delay;        // steps that an event travels
  int surrogate;    // index in snnlab.surrogate.SURROGATES
  int value_reset, detach_reset, adapts;
  int voltages;            // forward: write voltages, not spikes
  int d_spikes, d_voltages;  // backward: these have a gradient
  int learns;                // backward: gradients of the parameters are wanted
};

// The rows of `params`, in the order of snnlab.kernels.rows, and what follows from them.
struct Neuron {
  float bias, a_syn, a, gain, v_th, v_reset, rho, beta, hold, slope, peak, gap;
};
enum { BIAS, DECAY_SYN, DECAY_MEM, GAIN, V_TH, V_RESET, DECAY_ADAPT, BETA, LEARNED, HOLD = LEARNED, SLOPE, PEAK };

__device__ Neuron neuron_of(const float* params, int width, int n) {
  const float* p = params + n;
  float v_th = p[V_TH * width], v_reset = p[V_RESET * width];
  return {p[BIAS * width], p[DECAY_SYN * width],   p[DECAY_MEM * width], p[GAIN * width], v_th,            v_reset,
          p[DECAY_ADAPT * width], p[BETA * width], p[HOLD * width],      p[SLOPE * width], p[PEAK * width], v_th - v_reset};
}

// ---- What arrives

// The events of one sample in shared memory: units in the order of their steps, and where each step begins.
struct Events {
  int* start;            // steps + 1
  unsigned short* unit;  // units
};

// A thread owns steps and reads the times of all units in their order, which therefore stays within a step. All threads
// read the same word at once, which costs one access.
__device__ Events sort_events(const Options& o, const int* times, int b, int* memory) {
  Events events = {memory, (unsigned short*)(memory + o.steps + 1)};
  unsigned short* when = events.unit + o.units;
  for (int k = threadIdx.x; k < o.units; k += blockDim.x) {
    unsigned t = times[(size_t)b * o.units + k];
    when[k] = t < (unsigned)o.steps && t + o.delay < (unsigned)o.steps ? t + o.delay : o.steps;
  }
  __syncthreads();
  for (int t = threadIdx.x; t <= o.steps; t += blockDim.x) {
    int earlier = 0;
    for (int k = 0; k < o.units; ++k) earlier += when[k] < t;
    events.start[t] = earlier;
    if (t < o.steps)
      for (int k = 0; k < o.units; ++k)
        if (when[k] == t) events.unit[earlier++] = k;
  }
  __syncthreads();
  return events;
}

// What drives one neuron in one sample.
struct Source {
  const float *weights, *current;
  Events events;
  size_t row, column;  // from one step of `current` to the next, and where the neuron stands in a step
  int neurons, n;
};

// Adds the weights from a list of units to neuron n; they come four at a time, to wait only once for them.
__device__ float weighed(const float* weights, const unsigned short* unit, int e, int end, int neurons, int n) {
  float x = 0.0f;
  for (; e < end; e += 4) {
    float w[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) w[k] = e + k < end ? weights[(size_t)unit[e + k] * neurons + n] : 0.0f;
#pragma unroll
    for (int k = 0; k < 4; ++k) x += w[k];
  }
  return x;
}

// The memory behind a pointer is read at the latest in a step.
__device__ float arriving(const Source& in, int t) {
  if (in.current) return in.current[t * in.row + in.column];
  return weighed(in.weights, in.events.unit, in.events.start[t], in.events.start[t + 1], in.neurons, in.n);
}

// ---- What the neurons of a layer send each other

// The neurons of a recurrent layer in one sample, in shared memory of as many words as `size` says, as does `fused`. The
// threads wait for each other at every step; those without a neuron do what the last neuron does, but never fire.
struct Peers {
  const float* weights;  // from neuron (row) to neuron, and then the same transposed
  unsigned* words;       // a bit for every thread: did it fire
  float* d_arrived;      // two steps of gradients
  unsigned short* unit;  // neurons that fired at the step before, in their order
  int fired, neurons, n;

  __device__ static int size(int neurons) { return 32 + 2 * neurons + (neurons + 1) / 2; }

  __device__ Peers(const float* weights, int* memory, int neurons, int n)
      : weights(weights), words((unsigned*)memory), d_arrived((float*)memory + 32),
        unit((unsigned short*)(memory + 32 + 2 * neurons)), fired(0), neurons(neurons), n(n) {}

  __device__ float heard() const { return weighed(weights, unit, 0, fired, neurons, n); }

  // A neuron's place in the list is the number of those before it that fired.
  __device__ void send(bool spike) {
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, word = __ballot_sync(~0u, spike);
    if (lane == 0) words[warp] = word;
    __syncthreads();
    int before = __popc(word & ((1u << lane) - 1));
    fired = 0;
    for (int w = 0; w < blockDim.x / 32; ++w) {
      int count = __popc(words[w]);
      if (w < warp) before += count;
      fired += count;
    }
    if (spike) unit[before] = n;
    __syncthreads();
  }

  // The gradient of a spike at step t: what arrived at the neurons one step later, through the weights from this one.
  __device__ float d_sent(int t) const {
    const float *w = weights + (size_t)neurons * neurons + n, *d = d_arrived + (t + 1) % 2 * neurons;
    float sum = 0.0f;
#pragma unroll 2
    for (int k = 0; k < neurons; ++k) sum += w[(size_t)k * neurons] * d[k];
    return sum;
  }

  __device__ void tell(int t, float dg) {
    d_arrived[t % 2 * neurons + n] = dg;  // threads of the last neuron write the same
    __syncthreads();
  }
};

// ---- One step

struct State {
  float v = 0.0f, g = 0.0f, rise = 0.0f, age = 1e9f;  // age: steps since the last spike; 1e9 + 1 is 1e9
};

constexpr int HELD = 1, FIRED = 2;  // bits of a flag

struct Step {
  float u, rise;  // the voltage before the reset, and how far the threshold stood above v_th
  bool held, fired;
};

__device__ float after_reset(const Neuron& p, const Options& o, float u, bool fired) {
  return fired ? (o.value_reset ? p.v_reset : u - p.gap) : u;
}

__device__ Step step(const Neuron& p, const Options& o, State& s, float x) {
  s.g = s.g * p.a_syn + (x + p.bias);
  float u = s.v * p.a + p.gain * s.g;
  s.age += 1.0f;
  bool held = s.age <= p.hold;
  if (held) u = s.v;
  bool fired = u >= p.v_th + s.rise;
  Step now = {u, s.rise, held, fired};
  if (fired) s.age = 0.0f;
  s.v = after_reset(p, o, u, fired);
  s.rise = s.rise * p.rho + (fired ? p.beta : 0.0f);
  return now;
}

// ---- The surrogate derivatives, of y = slope x; what is no number stays none

__device__ float or_nan(float y, float value) { return y == y ? value : y; }

__device__ float bell(float y) {
  float q = 1.0f / (1.0f + expf(-y));
  return 4.0f * q * (1.0f - q);
}

__device__ float secant(float y) {
  float size = fabsf(y);
  return 1.0f / (size <= 1.0f ? 1.0f : size);
}

__device__ float multi_gaussian(float y) {  // SIDE_LOBES 0.15, WIDTH_OF_LOBES 6; MULTI_PEAK is 1.15 - 0.05 e^(-1/72)
  const float side = 0.15f / 6.0f, peak = 1.15f - 0.05f * 0.98620712f, width = -0.5f / 36.0f;
  float left = y + 1.0f, right = y - 1.0f;
  float lobes = expf(width * left * left) + expf(width * right * right);
  return (1.15f * expf(-0.5f * y * y) - side * lobes) / peak;
}

__device__ float derivative(float y, int surrogate) {
  float size = fabsf(y), d;
  switch (surrogate) {
    case 0: return d = 1.0f + size, 1.0f / (d * d);                                // inv_square
    case 1: return 1.0f / (1.0f + y * y);                                          // arctan
    case 2: return bell(y);                                                        // sigmoid
    case 3: return d = 1.0f - size, d <= 0.0f ? 0.0f : d;                          // triangular
    case 4: return expf(-0.5f * y * y);                                            // gaussian
    case 5: return expf(-size);                                                    // exponential
    case 6: return or_nan(y, size <= 1.0f ? 1.0f : 0.0f);                          // boxcar
    case 7: return 1.0f / (1.0f + size);                                           // reciprocal
    case 8: return secant(y);                                                      // secant
    case 9: return d = 1.0f + y * y, 1.0f / (d * sqrtf(d));                        // circular
    case 10: return multi_gaussian(y);                                             // multi_gaussian
    case 11: return y >= 0.0f ? 1.0f / (1.0f + y) : bell(4.0f * y);                // s2nn
    case 12: return or_nan(y, size <= 1.0f ? 1.0f : 0.01f);                        // leaky_boxcar
    case 13: return y >= 0.0f ? secant(y) : or_nan(y, 0.0f);                       // log_tailed
    case 14: return or_nan(y, y >= 0.0f ? 1.0f : 0.1f);                            // leaky_relu
    case 15: return d = cosf(y), (2.0f * d * d - 1.0f) * d;                        // square_wave
    default: return or_nan(y, 1.0f);                                               // straight_through
  }
}

// ---- The kernels

// What a thread knows: its neuron, its place in an array (batch, neuron), and what drives it.
struct Thread {
  Options o;
  Source in;
  Neuron p;
  int b, n;
  size_t row, place;
  bool idle;  // it has no neuron, but its block needs it
};

template <bool recurrent>
__device__ Thread thread_of(const Options* options, const float* params, const float* weights, const int* times,
                            const float* current, int* memory) {
  Thread me = {*options};
  const Options& o = me.o;
  me.b = blockIdx.x, me.n = blockIdx.y * blockDim.x + threadIdx.x, me.idle = me.n >= o.neurons;
  if (recurrent && me.idle) me.n = o.neurons - 1;
  me.row = (size_t)o.batch * o.neurons, me.place = (size_t)me.b * o.neurons + me.n;
  me.in = {weights, o.from_events ? nullptr : current, {}, me.row, me.place, o.neurons, me.n};
  if (o.from_events) me.in.events = sort_events(o, times, me.b, memory + (recurrent ? Peers::size(o.neurons) : 0));
  if (recurrent || !me.idle) me.p = neuron_of(params, o.neurons, me.n);
  return me;
}

// Writes to `out` (time, batch, neuron) the spikes, or the voltages after the reset; to `counts` the number of spikes.
template <bool recurrent>
__device__ void forward(const Options* __restrict__ options, const float* __restrict__ params,
                        const float* __restrict__ weights, const int* __restrict__ times,
                        const float* __restrict__ current, const float* __restrict__ w_rec, float* __restrict__ out,
                        float* __restrict__ counts) {
  extern_shared(memory);
  const Thread me = thread_of<recurrent>(options, params, weights, times, current, memory);
  if (!recurrent && me.idle) return;
  const Options& o = me.o;
  const Neuron& p = me.p;
  const size_t row = me.row, place = me.place;
  Peers peers(w_rec, memory, o.neurons, me.n);
  State s;
  float count = 0.0f;
  for (int t = 0; t < o.steps; ++t) {
    float x = arriving(me.in, t);
    Step now = step(p, o, s, recurrent ? x + peers.heard() : x);
    if (recurrent) peers.send(now.fired && !me.idle);
    float spike = now.fired ? 1.0f : 0.0f;
    count += spike;
    if (!me.idle) out[t * row + place] = o.voltages ? s.v : spike;
  }
  if (!me.idle) counts[place] = count;
}

// Computes the voltages again and leaves them in `trace`, which is (1 to 3, time, batch, neuron): voltages before the
// reset, currents if the parameters learn, the rise of the threshold if it adapts; in `flags`, (time, batch, neuron), which
// neurons were HELD and which FIRED. Then walks back. Writes to `d_arriving` the gradient of what arrives, to `d_params`
// (batch, LEARNED, neuron) those of the parameters.
template <bool recurrent>
__device__ void backward(const Options* __restrict__ options, const float* __restrict__ params,
                         const float* __restrict__ weights, const int* __restrict__ times,
                         const float* __restrict__ current, const float* __restrict__ w_rec,
                         const float* __restrict__ d_spikes, const float* __restrict__ d_voltages,
                         const float* __restrict__ d_counts, float* __restrict__ d_arriving,
                         float* __restrict__ d_params, float* __restrict__ trace, unsigned char* __restrict__ flags) {
  extern_shared(memory);
  const Thread me = thread_of<recurrent>(options, params, weights, times, current, memory);
  if (!recurrent && me.idle) return;
  const Options& o = me.o;
  const Neuron& p = me.p;
  const size_t row = me.row, place = me.place;
  size_t whole = o.steps * row;
  float *currents = trace + whole, *rises = trace + (o.learns ? 2 : 1) * whole;
  Peers peers(w_rec, memory, o.neurons, me.n);
  State s;
  for (int t = 0; t < o.steps; ++t) {
    size_t at = t * row + place;
    float x = arriving(me.in, t);
    Step now = step(p, o, s, recurrent ? x + peers.heard() : x);
    if (recurrent) peers.send(now.fired && !me.idle);
    trace[at] = now.u;  // threads of the last neuron write the same
    flags[at] = (now.held ? HELD : 0) + (now.fired ? FIRED : 0);
    if (o.learns) currents[at] = s.g;
    if (o.adapts) rises[at] = now.rise;
  }
  float dv = 0.0f, dg = 0.0f, d_rise = 0.0f, d_count = d_counts[place], d[LEARNED] = {};
  for (int t = o.steps - 1; t >= 0; --t) {
    size_t at = t * row + place;
    float u = trace[at], rise = o.adapts ? rises[at] : 0.0f, x = u - (p.v_th + rise);
    float ds = d_count + p.beta * d_rise + (o.d_spikes ? d_spikes[at] : 0.0f);
    if (recurrent && t + 1 < o.steps) ds += peers.d_sent(t);
    if (o.d_voltages) dv += d_voltages[at];
    bool fired = flags[at] & FIRED, held = flags[at] & HELD;
    float h = p.peak * derivative(p.slope * x, o.surrogate);
    float kept = o.value_reset && fired ? 0.0f : 1.0f;
    float taken = o.detach_reset ? 0.0f : p.v_reset - (o.value_reset ? u : p.v_th);
    float du = dv * (kept + taken * h) + ds * h, jump = fired ? dv : 0.0f;
    float d_threshold = (ds + dv * taken) * h;  // the threshold is in the spike as the voltage is, but for its sign
    float moved = held ? 0.0f : du;
    dg = dg * p.a_syn + moved * p.gain;
    d_arriving[at] = dg;
    if (recurrent) peers.tell(t, dg);
    d[BIAS] += dg;
    if (o.learns) {
      float g_before = 0.0f, v_before = 0.0f;
      if (t > 0) {
        float earlier = trace[at - row], threshold = p.v_th + (o.adapts ? rises[at - row] : 0.0f);
        g_before = currents[at - row];
        v_before = after_reset(p, o, earlier, earlier >= threshold);
      }
      d[DECAY_SYN] += dg * g_before;
      d[DECAY_MEM] += moved * v_before;
      d[GAIN] += moved * currents[at];
      d[V_TH] -= d_threshold + (o.value_reset ? 0.0f : jump);
      d[V_RESET] += jump;
      d[DECAY_ADAPT] += d_rise * rise;
      d[BETA] += fired ? d_rise : 0.0f;
    }
    d_rise = d_rise * p.rho - d_threshold;
    dv = held ? du : du * p.a;
  }
#pragma unroll
  for (int k = 0; k < LEARNED; ++k) d_params[((size_t)me.b * LEARNED + k) * o.neurons + me.n] = d[k];
}

#define IN(type, name) const type* __restrict__ name
#define OUT(type, name) type* __restrict__ name
#define LAYER IN(Options, options), IN(float, params), IN(float, weights), IN(int, times), IN(float, current)
#define FROM_ABOVE IN(float, d_spikes), IN(float, d_voltages), IN(float, d_counts)
#define GRADIENTS OUT(float, d_arriving), OUT(float, d_params), OUT(float, trace), OUT(unsigned char, flags)

extern "C" __global__ void snnlab_lif(LAYER, OUT(float, out), OUT(float, counts)) {
  forward<false>(options, params, weights, times, current, nullptr, out, counts);
}

extern "C" __global__ void snnlab_lif_back(LAYER, FROM_ABOVE, GRADIENTS) {
  backward<false>(options, params, weights, times, current, nullptr, d_spikes, d_voltages, d_counts, d_arriving,
                  d_params, trace, flags);
}

extern "C" __global__ void __launch_bounds__(1024)
    snnlab_recurrent(LAYER, IN(float, w_rec), OUT(float, out), OUT(float, counts)) {
  forward<true>(options, params, weights, times, current, w_rec, out, counts);
}

extern "C" __global__ void __launch_bounds__(1024)
    snnlab_recurrent_back(LAYER, IN(float, w_rec), FROM_ABOVE, GRADIENTS) {
  backward<true>(options, params, weights, times, current, w_rec, d_spikes, d_voltages, d_counts, d_arriving, d_params,
                 trace, flags);
}

// A block is one input unit and up to 128 neurons: adds up, sample by sample, the gradients of what arrived at the
// neurons when the unit fired. Eight samples at a time, to wait only once for them.
extern "C" __global__ void snnlab_weights_back(const Options* __restrict__ options, const int* __restrict__ times,
                                               const float* __restrict__ d_arriving, float* __restrict__ d_weights) {
  const Options& o = *options;
  int unit = blockIdx.x, n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= o.neurons) return;
  float sum = 0.0f;
  for (int b = 0; b < o.batch; b += 8) {
    float d[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      unsigned t = b + k < o.batch ? times[(size_t)(b + k) * o.units + unit] : o.steps;
      bool arrives = t < (unsigned)o.steps && t + o.delay < (unsigned)o.steps;
      d[k] = arrives ? d_arriving[((size_t)(t + o.delay) * o.batch + b + k) * o.neurons + n] : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += d[k];
  }
  d_weights[(size_t)unit * o.neurons + n] = sum;
}

// The same for what the neurons of a recurrent layer send each other, one step later. A block is a neuron that sends and
// one of some parts of the batch, and up to 128 neurons that hear it; the parts are summed elsewhere.
extern "C" __global__ void snnlab_peers_back(IN(Options, options), IN(unsigned char, flags), IN(float, d_arriving),
                                             OUT(float, d_weights)) {
  const Options& o = *options;
  int sender = blockIdx.x % o.neurons, part = blockIdx.x / o.neurons, parts = gridDim.x / o.neurons;
  int n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= o.neurons) return;
  const size_t row = (size_t)o.batch * o.neurons;
  float sum = 0.0f;
  for (int b = part * o.batch / parts; b < (part + 1) * o.batch / parts; ++b)
    for (int t = 0; t + 1 < o.steps; t += 8) {
      float d[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        size_t sample = (t + k) * row + (size_t)b * o.neurons;
        bool heard = t + k + 1 < o.steps && flags[sample + sender] & FIRED;
        d[k] = heard ? d_arriving[sample + row + n] : 0.0f;
      }
#pragma unroll
      for (int k = 0; k < 8; ++k) sum += d[k];
    }
  d_weights[(size_t)blockIdx.x * o.neurons + n] = sum;
}
